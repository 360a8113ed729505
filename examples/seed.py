"""Ten services in one program: each calls every other one through the mesh, and each result goes into the registry.

    pip install ./python
    python examples/seed.py

The control plane runs in this very process unless the environment names another one (see docs/sdk.md). The part between
the two lines stands as it was written before there was a mesh to run it; what it takes for granted is imported above it.
"""

import meltemi as istio
from meltemi import Request, Service, registry

n = 10

# -----------------------------------------------------------------------------------------------------------------------
# 创建一个包含 n 个服务的系统
services = [Service(name=f'service_{i}', port=9000+i) for i in range(n)]

# 为每个服务注册其 IP 地址和端口
for service in services:
    service.register(ip='127.0.0.1', port=service.port)

# 当一个服务需要与另一个服务通信时，Istio 会将请求分发到所有可用的服务实例上，以便将负载均衡
def communicate(service, target_service):
    request = Request(service=service, target_service=target_service)
    response = istio.communicate(request)
    return response.result

# 服务通信完成后，Istio 会将结果添加到注册表中，以便将来使用
def process_result(response):
    # 将结果添加到注册表中
    registry.add(response.result)
    # 将结果添加到注册表中
    registry.add(response.result)

# 开始通信
for service in services:
    for target_service in services:
        if service != target_service:
            result = communicate(service, target_service)
            process_result(result)
# -----------------------------------------------------------------------------------------------------------------------

print(f"{len(registry)} results of {n * (n - 1)} calls are in the registry")
print("\nas the callers saw it, from the call to its result:")
print(registry.table())
mesh = istio.default_mesh()
# One elsewhere is asked with an access token: see docs/sdk.md.
if mesh.state_dir is not None:
    print("\nas the mesh's registry knows it, from proxy to proxy:")
    print(mesh.outcomes(own=True, at_least=n * (n - 1)).table())
