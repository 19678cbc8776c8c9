"""Reads what the system tells of itself; what it does not tell is left out. Judged in `findings`."""

import getpass
import os
import subprocess
import sys
import threading
from pathlib import Path

from streamsep.doctor import findings
from streamsep.doctor.findings import Finding

SECURITY, CPUS, SUPPLIES = Path("/etc/security"), Path("/sys/devices/system/cpu"), Path("/sys/class/power_supply")
ANSWER_LIMIT_S = 5.0


def machine_findings() -> list[Finding]:
    """Everything that needs no sound to be known."""
    number = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    found: list[Finding | None] = [findings.cores(number)]
    if (loadavg := read(Path("/proc/loadavg"))) is not None:
        found.append(findings.load(loadavg, number))
    if sys.platform == "linux":
        found.append(findings.real_time(granted_priority(), group_names(), limit_files(), user_name()))
        found.append(findings.locked_memory(locked_memory_limit()))
    found.append(findings.governor(texts(CPUS, "cpu[0-9]*/cpufreq/scaling_governor")))
    mains = {
        kind.parent.name: read(kind.parent / "online") or ""
        for kind in SUPPLIES.glob("*/type")
        if read(kind) == "Mains\n"
    }
    found.append(findings.power(mains, read(Path("/sys/firmware/acpi/platform_profile"))))
    found.append(findings.sleepy_card(read(Path("/sys/module/snd_hda_intel/parameters/power_save"))))
    if (meminfo := read(Path("/proc/meminfo"))) is not None:
        found.append(findings.swap(meminfo, read(Path("/proc/sys/vm/swappiness"))))
    return [finding for finding in found if finding is not None]


def read(file: Path) -> str | None:
    """The text of a file; None where there is none, or it may not be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def texts(folder: Path, pattern: str) -> list[str]:
    """Of all files that fit and may be read."""
    return [text for file in sorted(folder.glob(pattern)) if (text := read(file)) is not None]


def granted_priority() -> int:
    """The highest real-time priority that the system gives a thread of ours, 0: none. Asking is the only way to know:
    limits, privileges, control groups and helpers all have a say."""
    granted = [0]

    def ask() -> None:
        for priority in range(os.sched_get_priority_max(os.SCHED_FIFO), 0, -1):
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))  # of this thread, which ends now
            except OSError:
                continue
            granted[0] = priority
            return

    asking = threading.Thread(target=ask)
    asking.start()
    asking.join()
    return granted[0]


def locked_memory_limit() -> int | None:
    """In bytes; None: no limit."""
    import resource  # there is none on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return None if soft == resource.RLIM_INFINITY else soft


def group_names() -> set[str]:
    """The groups of this process."""
    import grp  # there is none on Windows

    known = {group.gr_gid: group.gr_name for group in grp.getgrall()}
    return {known[number] for number in (*os.getgroups(), os.getgid()) if number in known}


def user_name() -> str:
    """Of who runs this; the number where the system knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the latter from Python 3.13 on
        return str(os.getuid())


def limit_files() -> dict[str, str]:
    """The texts of limits.conf and what stands beside it, by file."""
    files = [SECURITY / "limits.conf", *sorted((SECURITY / "limits.d").glob("*.conf"))]
    return {str(file): text for file in files if (text := read(file)) is not None}


def pipewire_runs() -> bool:
    """Whether its socket is where it should be."""
    return (Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / "pipewire-0").exists()


def pipewire_settings() -> str | None:
    """What its own tool prints of its settings; None without that tool or an answer."""
    command = ["pw-metadata", "-n", "settings"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if not done.returncode and done.stdout else None
