"""Runs a program on a terminal of its own: terminal.py ROWS COLUMNS STEPS ARGV...

STEPS is JSON, a list of ["expect", TEXT], ["type", TEXT], ["resize", ROWS, COLUMNS] and ["signal", NAME]. What it prints is
JSON: the exit code, all that was written, and whether the terminal's settings were changed, and were put back.
"""
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

rows, columns, steps, argv = int(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:]
ours, theirs = pty.openpty()


def resize(rows, columns):
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


resize(rows, columns)
before = termios.tcgetattr(theirs)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(theirs, fd)
    os.execvp(argv[0], argv)

text = ""
changed = False
deadline = time.time() + 60


def read(wait):
    global text
    if select.select([ours], [], [], wait)[0]:
        text += os.read(ours, 65536).decode("utf8", "replace")


seen = 0
for step, *args in steps:
    if step == "expect":
        while args[0] not in text[seen:] and time.time() < deadline:
            read(0.1)
        seen = len(text)
        changed = changed or termios.tcgetattr(theirs) != before
    elif step == "type":
        os.write(ours, args[0].encode())
    elif step == "resize":
        resize(*args)
    else:
        os.kill(pid, getattr(signal, f"SIG{args[0]}"))

code = None
while time.time() < deadline and code is None:
    read(0.1)
    ended, status = os.waitpid(pid, os.WNOHANG)
    if ended:
        code = os.waitstatus_to_exitcode(status)
read(0.1)
restored = termios.tcgetattr(theirs) == before
print(json.dumps({"code": code, "text": text, "changed": changed, "restored": restored}))
