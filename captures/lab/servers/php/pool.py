"""php-fpm for one run: its pool's file is written into the run's directory, then it is started.

The script is named by nginx in front of it, which has the same directory for its socket.
"""

import json
import os
from pathlib import Path

from captures.lab import tools

POOL = """
[global]
error_log = /proc/self/fd/2
daemonize = no
[www]
user = root
group = root
listen = {directory}/php-fpm.sock
pm = static
pm.max_children = {workers}
clear_env = no
php_admin_value[apc.enabled] = 1
"""


def main() -> None:
    """Become php-fpm; it says `ready to handle connections` by itself."""
    config = json.loads(os.environ["WF_SERVER"])
    path = Path(config["directory"]) / "php-fpm.conf"
    path.write_text(POOL.format(directory=config["directory"], workers=config.get("workers", 4)))
    binary = tools.find("php-fpm8.2") or "php-fpm8.2"
    os.execv(binary, [binary, "-R", "-F", "-y", str(path)])


if __name__ == "__main__":
    main()
