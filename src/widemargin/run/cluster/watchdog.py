"""Ends a private Ray when its owner has died: `python -S watchdog.py OWNER FOLDER …`

The owner starts it as a child and closes its standard input when all is to end; when it dies, the
watchdog gets another parent. Then every process that has a file of Ray in the first folder open is
killed (Ray's agents, actors and their log files; titles and parents of such processes change, open
files do not), and the folders are removed. Who merely looks at the run, by a command that names its
folder or a file of the run, is none of them. It prints nothing and imports little: it idles all the
time.
"""

import os
import select
import shutil
import signal
import sys
import time

LOOK_S = 0.25
RUN = "run"  # in the folder: the run's own files, which anyone may read
PROGRAM = b"/ray/"  # in the paths of Ray's programs


def users(folder: str) -> list[int]:
    """Ray's processes: those that have its files in the folder open, or are called with it."""
    found = []
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        if pid == os.getpid():
            continue
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                command = stream.read()
            named = os.fsencode(folder) in command and PROGRAM in command
            if named or any(opens(f"/proc/{pid}/fd/{fd}", folder) for fd in fds(pid)):
                found.append(pid)
        except OSError:  # it has ended, or is another user's
            continue
    return found


def fds(pid: int) -> list[str]:
    return os.listdir(f"/proc/{pid}/fd")


def opens(link: str, folder: str) -> bool:
    try:
        file = os.readlink(link)
    except OSError:
        return False
    return file.startswith(folder + "/") and not file.startswith(f"{folder}/{RUN}/")


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
