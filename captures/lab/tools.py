"""What the machine must offer before anything is built, each with how to get it."""

import os
import platform
import shutil
from collections.abc import Iterable

from captures.lab.errors import LabError

HOW_TO_GET = {
    "ip": "apt-get install iproute2",
    "tcpdump": "apt-get install tcpdump",
    "iptables": "apt-get install iptables",
    "conntrack": "apt-get install conntrack",
    "curl": "apt-get install curl",
    "npm": "apt-get install npm, or https://nodejs.org/en/download",
    "nginx": "apt-get install nginx-light",
    "haproxy": "apt-get install haproxy",
    "go": "apt-get install golang-go",
    "java": "apt-get install default-jdk-headless",
    "javac": "apt-get install default-jdk-headless",
    "ruby": "apt-get install ruby",
    "puma": "apt-get install puma ruby-sinatra",
    "php-fpm8.2": "apt-get install php8.2-fpm php8.2-apcu",
    "memcached": "apt-get install memcached",
    "redis-server": "apt-get install redis-server",
    "apt-get": "a Debian or Ubuntu machine",
    "dpkg-deb": "a Debian or Ubuntu machine",
}


def require_root() -> None:
    """Namespaces, NAT and tcpdump all need root on Linux."""
    if platform.system() != "Linux":
        raise LabError(f"the lab needs Linux network namespaces; this is {platform.system()}")
    if os.geteuid() != 0:
        raise LabError("the lab builds network namespaces and must run as root: try sudo")


def require(names: Iterable[str]) -> None:
    """Raise one line that names every missing program and how to get it."""
    missing = [name for name in sorted(set(names)) if find(name) is None]
    if missing:
        ways = "; ".join(f"{name} ({HOW_TO_GET.get(name, 'install it')})" for name in missing)
        raise LabError(f"missing on this machine: {ways}")


def find(name: str) -> str | None:
    """The path of a program, also where root's tools lie outside a user's PATH."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
