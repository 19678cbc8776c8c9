"""What was read of the machine, judged. Pure functions: texts and numbers in, a finding out; no finding where a
system does not tell. What mends it is a command for Debian and its kin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

State = Literal["good", "fair", "bad", "unknown"]

HIGH_PRIORITY = 10  # real-time: what JACK takes by default
LOCKED_MB = 64  # of memory that must not be swapped out, at least
STOLEN_PERCENT = 1.0  # of a virtual machine's time, at most
ROOM = "streamsep live --block 1024   # leaves room for it; only a machine of your own ends it"
GROUP = "audio"
LOG_IN = "then log out and in again"
MAINS = "powerprofilesctl set performance   # or plug it in"


@dataclass(frozen=True)
class Finding:
    """One thing. good: as it should be · fair: works, could work better · bad: stands in the way · unknown: the
    system does not tell."""

    name: str
    state: State
    found: str
    mend: str | None = None  # a command; None where all is well


def cores(number: int) -> Finding:
    """How many this process may use: one for the sound, one for everything else."""
    if number >= 2:
        return Finding("processor", "good", f"{number} cores")
    return Finding(
        "processor", "fair", "1 core: the sound has to share it with the monitor", "streamsep live --domain noise"
    )


def load(loadavg: str, number: int) -> Finding:
    """loadavg: the text of /proc/loadavg. number: of cores.

    >>> load("0.20 0.10 0.05 1/100 4242", 2).state
    'good'
    """
    busy = float(loadavg.split()[0])
    found = f"{busy:g} programs wanted to run, on average of the last minute, on {number} cores"
    if busy <= 0.5 * number:
        return Finding("other programs", "good", found)
    return Finding(
        "other programs", "bad" if busy > number else "fair", found, "top -o %CPU   # and end what you can spare"
    )


def governor(governors: list[str]) -> Finding | None:
    """governors: the text of every core's scaling_governor; none where somebody else sees to the clock."""
    names = sorted({text.strip() for text in governors})
    if not names:
        return None
    found = f"the processor's clock is governed by {', '.join(names)}"
    if names == ["performance"]:
        return Finding("CPU governor", "good", found)
    return Finding(
        "CPU governor", "fair", f"{found}: it may be slow to speed up", "sudo cpupower frequency-set -g performance"
    )


def power(supplies: Mapping[str, str], profile: str | None) -> Finding | None:
    """supplies: by name, the text of "online" of every mains supply. profile: the text of platform_profile."""
    if profile is not None and profile.strip() == "low-power":
        return Finding("power saving", "fair", "the machine is set to save power", "powerprofilesctl set performance")
    if supplies and not any(text.strip() == "1" for text in supplies.values()):
        return Finding("power saving", "fair", "the machine runs on its battery", MAINS)
    if supplies or profile is not None:
        return Finding("power saving", "good", "off")
    return None


def sleepy_card(power_save: str | None) -> Finding | None:
    """power_save: the text of snd_hda_intel's parameter, after how many seconds of silence the card sleeps."""
    if power_save is None:
        return None
    if power_save.strip() in ("0", ""):
        return Finding("sound card's sleep", "good", "it stays awake")
    return Finding(
        "sound card's sleep",
        "fair",
        f"the built-in card sleeps after {power_save.strip()} s of silence, and clicks when it wakes up",
        "echo 0 | sudo tee /sys/module/snd_hda_intel/parameters/power_save",
    )


def swap(meminfo: str, swappiness: str | None) -> Finding:
    """meminfo: the text of /proc/meminfo. swappiness: of /proc/sys/vm/swappiness."""
    sizes = {name: int(kib) / 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", meminfo, re.MULTILINE)}
    free, used = sizes.get("MemAvailable", 0.0), sizes.get("SwapTotal", 0.0) - sizes.get("SwapFree", 0.0)
    found = f"{free:.0f} MB are free, {used:.0f} MB are swapped out"
    if free < 500:
        return Finding("memory", "bad", found, "top -o %MEM   # and end what you can spare")
    if used > 1 and swappiness is not None and int(swappiness) > 10:
        return Finding(
            "memory", "fair", f"{found}, with swappiness {int(swappiness)}", "sudo sysctl vm.swappiness=10"
        )
    return Finding("memory", "good", found)


def locked_memory(limit_bytes: int | None) -> Finding:
    """limit_bytes: soft limit of locked memory; None: there is none."""
    if limit_bytes is None or limit_bytes >= LOCKED_MB * 2**20:
        return Finding("locked memory", "good", "no limit" if limit_bytes is None else f"{limit_bytes // 2**20} MB")
    return Finding(
        "locked memory",
        "fair",
        f"at most {limit_bytes / 2**20:.3g} MB may be kept from being swapped out",
        f"echo '@{GROUP} - memlock unlimited' | sudo tee -a /etc/security/limits.d/95-{GROUP}.conf   # {LOG_IN}",
    )


def real_time(granted: int, groups: set[str], limits: Mapping[str, str], user: str) -> Finding:
    """granted: the highest real-time priority that a thread of ours was given, 0: none. groups: the user's. limits:
    the texts of limits.conf and limits.d, by file."""
    name = "real-time priority"
    if granted >= HIGH_PRIORITY:
        return Finding(name, "good", f"a thread may have up to {granted}")
    if granted:
        found = f"a thread may have no more than {granted}"
    else:
        found = "no thread may have one: whatever else runs can hold up the sound"
    able = {who: top for who, top in priorities(limits).items() if top >= HIGH_PRIORITY}
    if mine := sorted(able.keys() & ({f"@{group}" for group in groups} | {user, "*"})):
        return Finding(
            name,
            "bad",
            f"{found}, though {mine[0]} is allowed {able[mine[0]]} for a new session",
            f"su --login {user}   # for one terminal; for all of them log out and in again",
        )
    if offered := sorted(who for who in able if who.startswith("@")):
        join = f"sudo usermod -aG {offered[0][1:]} {user}   # {LOG_IN}"
        return Finding(name, "bad", f"{found}; the group {offered[0][1:]} may, and {user} is not in it", join)
    allow = f"echo '@{GROUP} - rtprio 95' | sudo tee -a /etc/security/limits.d/95-{GROUP}.conf"
    join = "" if GROUP in groups else f" && sudo usermod -aG {GROUP} {user}"
    return Finding(name, "bad", found, f"{allow}{join}   # {LOG_IN}")


def priorities(limits: Mapping[str, str]) -> dict[str, int]:
    """Whom the files allow which real-time priority: users, @groups and * for everybody.

    >>> priorities({"95-audio.conf": "@audio  -  rtprio  95   # for JACK"})
    {'@audio': 95}
    """
    found: dict[str, int] = {}
    for file in sorted(limits):
        for line in limits[file].splitlines():
            match line.partition("#")[0].split():
                case [who, "-" | "soft" | "hard", "rtprio", top] if top.isdecimal():
                    found[who] = int(top)
    return found


def stolen(before: str, after: str) -> Finding | None:
    """before, after: the text of /proc/stat around a measurement: what other guests of the same machine took."""
    first, last = ([int(ticks) for ticks in text.splitlines()[0].split()[1:9]] for text in (before, after))
    spent = [end - begin for begin, end in zip(first, last, strict=True)]
    if sum(spent) <= 0 or len(spent) < 8 or spent[7] <= 0:
        return None
    share = 100 * spent[7] / sum(spent)
    found = f"this is a virtual machine, and others took {share:.1f} % of its processors meanwhile"
    if share <= STOLEN_PERCENT:
        return Finding("stolen time", "good", found)
    return Finding("stolen time", "bad", found, ROOM)
