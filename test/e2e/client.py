import json
import sys

import grpc
from mcp.v1 import mcp_pb2, mcp_pb2_grpc

address, ca, token_file = sys.argv[1:]
with open(ca, "rb") as file:
    credentials = grpc.ssl_channel_credentials(file.read())
with open(token_file) as file:
    metadata = [("authorization", "Bearer " + file.read().strip())]

with grpc.secure_channel(address, credentials) as channel:
    agent = mcp_pb2_grpc.McpAgentServiceStub(channel)
    health = agent.HealthCheck(mcp_pb2.HealthCheckRequest(), timeout=10)
    listed = agent.ListServices(mcp_pb2.ListServicesRequest(), metadata=metadata, timeout=10)
    try:
        agent.ListServices(mcp_pb2.ListServicesRequest(), timeout=10)
        refusal = "none"
    except grpc.RpcError as error:
        refusal = error.code().name

print(json.dumps({
    "health": health.state,
    "services": {service.name: [component.name for component in service.components] for service in listed.services},
    "without_token": refusal,
}))
