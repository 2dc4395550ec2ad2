"""Proxies that are not ours: nginx, HAProxy and docker-proxy from Debian, plainly configured."""

import subprocess
import time
from pathlib import Path

from captures.lab import runtimes, tools
from captures.lab.errors import RecordingFailed
from captures.lab.scenario import Server
from captures.lab.topology import CONTAINER, SERVICE, Topology

SERVERS = Path(__file__).parent / "servers"
PACKAGED = ("nginx", "haproxy")  # to be installed
PROGRAMS = (*PACKAGED, "docker-proxy")

NGINX = """
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/nginx-body;
  proxy_temp_path {directory}/nginx-proxy;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  {cache_path}
  upstream app {{ server {upstream}; keepalive 4; }}
  server {{
    listen {port};
    location / {{
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header X-Forwarded-For $remote_addr;
      {cache}
    }}
  }}
}}
"""

# In front of php-fpm, in the container: every path is one script's.
FASTCGI = """
user root;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/nginx.error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/nginx-body;
  proxy_temp_path {directory}/nginx-proxy;
  fastcgi_temp_path {directory}/nginx-fastcgi;
  uwsgi_temp_path {directory}/nginx-uwsgi;
  scgi_temp_path {directory}/nginx-scgi;
  server {{
    listen {port};
    location / {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME {script};
      fastcgi_pass unix:{directory}/php-fpm.sock;
    }}
  }}
}}
"""

# A cache that looks at the path alone, whoever asks; or by another key (`cache` in its config).
CACHE_PATH = "proxy_cache_path {directory}/nginx-cache keys_zone=shared:1m;"
CACHE = "proxy_cache shared; proxy_cache_key {key}; proxy_cache_valid 200 {seconds}s;"

HAPROXY = """
global
  maxconn 256
defaults
  mode http
  option forwardfor
  http-reuse always
  timeout connect 2s
  timeout client 20s
  timeout server {timeout}s
frontend front
  bind :{port}
  default_backend app
backend app
{health}
"""


def command(server: Server, directory: Path) -> list[str]:
    """Write the configuration and return the command that runs in the foreground."""
    if server.program == "docker-proxy":
        binary = str(runtimes.docker_proxy())
        argv = f"-proto tcp -host-ip {SERVICE[0]} -host-port {server.port}"
        argv += f" -container-ip {CONTAINER[0]} -container-port {CONTAINER[1]}"
        # Docker waits for a word on descriptor 3, which is closed then.
        return ["sh", "-c", f"exec {binary} {argv} 3>/dev/null"]
    upstream = f"{SERVICE[0]}:{SERVICE[1]}"
    template = {"nginx": NGINX, "haproxy": HAPROXY}[server.program]
    path = directory / f"{server.program}.conf"
    health = f"  server app1 {upstream}"
    if "health" in server.config:
        asked = f"  option httpchk GET {server.config['health']}"
        health = f"{asked}\n{health} check inter 500"
    cached = bool(server.config.get("cache"))
    key = server.config["cache"] if isinstance(server.config.get("cache"), str) else "$uri"
    if "fastcgi" in server.config:
        template = FASTCGI
    text = template.format(
        script=SERVERS / server.config.get("fastcgi", ""),
        directory=directory,
        port=server.port,
        upstream=upstream,
        health=health,
        timeout=server.config.get("timeout", 20),
        cache_path=CACHE_PATH.format(directory=directory) if cached else "",
        cache=CACHE.format(key=key, seconds=server.config.get("fresh", 4)) if cached else "",
    )
    path.write_text(text)
    binary = tools.find(server.program) or server.program
    if server.program == "nginx":
        return [binary, "-c", str(path), "-g", "daemon off;"]
    return [binary, "-db", "-f", str(path)]


def wait_until_listening(topology: Topology, server: Server) -> None:
    """Wait for the listening socket, without a connection that would be in the capture."""
    for _ in range(250):
        if f":{server.port}" in topology.do(server.host, "ss -Hltn"):
            return
        time.sleep(0.02)
    raise RecordingFailed(f"{server.program} does not listen on port {server.port}")


def version(program: str) -> str:
    """What the program says of itself."""
    if program == "docker-proxy":
        return f"docker-proxy of {runtimes.DOCKER} {runtimes.docker_release()}"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return (said.stdout + said.stderr).splitlines()[0]
