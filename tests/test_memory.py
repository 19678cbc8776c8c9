"""Memory that training frees stays with it."""

import subprocess
import sys

import pytest

LARGE = 1 << 26  # bytes: above what glibc ever keeps by itself

FAULTS_OF_LATER_TENSORS = f"""
import resource, sys
import torch
from export.memory import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
faults = []
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones({LARGE} // 4)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[-5:]))  # the heap has grown as far as it will
"""


def faults(how: str) -> int:
    """Pages that the system had to give for tensors of the size of others that are gone, in a process of its own."""
    command = [sys.executable, "-c", FAULTS_OF_LATER_TENSORS, how]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have another C library")
def test_tensors_take_the_pages_of_those_that_are_gone() -> None:
    assert faults("kept") < faults("given back") / 10
