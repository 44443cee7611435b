"""Ends a private Ray when its owner has died: `python -S watchdog.py OWNER FOLDER …`

The owner starts it as a child and closes its standard input when all is to end; when it dies, the
watchdog gets another parent. Then every process that has a file of the first folder open is killed
(Ray's agents, actors and their log files; titles and parents of such processes change, open files
do not), and the folders are removed. It prints nothing and imports little: it idles all the time.
"""

import os
import select
import shutil
import signal
import sys
import time

LOOK_S = 0.25


def users(folder: str) -> list[int]:
    """Processes that have something in the folder open, or are named for it."""
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if pid == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                named = os.fsencode(folder) in stream.read()
            if named or any(opens(f"/proc/{pid}/fd/{fd}", folder) for fd in fds(pid)):
                found.append(pid)
        except OSError:  # it has ended, or is another user's
            continue
    return found


def fds(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")


def opens(link: str, folder: str) -> bool:
    try:
        return os.readlink(link).startswith(folder + "/")
    except OSError:
        return False


def end(folder: str, owner: int) -> None:
    """Kill until nobody is left: the dying may still have begun others."""
    for _ in range(100):
        left = [pid for pid in users(folder) if pid != owner]
        if not left:
            return
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.05)


def main() -> None:
    owner, folders = int(sys.argv[1]), sys.argv[2:]
    for quiet in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(quiet, signal.SIG_IGN)
    while os.getppid() == owner:
        if select.select([sys.stdin], [], [], LOOK_S)[0]:
            break
    end(folders[0], owner)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
