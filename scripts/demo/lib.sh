# What start.sh and stop.sh share.
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
demo=$repo/.demo
store=$demo/podman

# What `ps` says a process is called, and when it started: a number alone may be another's by now.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

# start_server NAME LINE COMMAND...: starts it in the background, and waits until its log has LINE.
start_server() {
  local name=$1 line=$2 log=$demo/$1.log
  shift 2
  setsid "$@" >"$log" 2>&1 </dev/null &
  local pid=$!
  echo "$pid $(started_at "$pid")" >"$demo/$name.pid"
  # tail ends with the process, or when grep has seen the line.
  if ! { timeout 30 tail -n +1 -s 0.1 -f --pid="$pid" "$log" 2>/dev/null || true; } | grep -q -m 1 "$line"; then
    tail -n 20 "$log" >&2
    fail "$name did not start; the end of $log is above"
  fi
}

# end_process PID: asks it to end, and after ten seconds makes it. Waits until it is gone.
end_process() {
  kill "$1" 2>/dev/null || return 0
  timeout 10 tail -s 0.1 -f --pid="$1" /dev/null || { kill -KILL "$1" 2>/dev/null && tail -s 0.1 -f --pid="$1" /dev/null; } || true
}

# end_server NAME: ends what start_server started.
end_server() {
  local file=$demo/$1.pid pid since
  [[ -f $file ]] || return 0
  read -r pid since <"$file"
  if [[ -n $since && $(started_at "$pid") == "$since" ]]; then end_process "$pid"; fi
  rm -f "$file"
}
