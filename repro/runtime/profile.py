"""The deny list of system calls in the words of containers (OCI runtime-spec, config-linux).

The same list as ``seccomp.filter_program``, from the same tables; libseccomp makes the
program of it. Another architecture's calls end the program instead of failing.
"""

from __future__ import annotations

from typing import Any

from repro.errors import RuntimeUnavailable
from repro.runtime import seccomp

_ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_LOW = 0xFFFFFFFF
_LONGEST_FAMILY = 64


def denied(machine: str) -> list[dict[str, Any]]:
    """The rules; whatever fits none is allowed. Raises RuntimeUnavailable."""
    if machine not in _ARCHITECTURES:
        raise RuntimeUnavailable(f"no system call filter for {machine}")
    rules = seccomp.rules(machine)
    found = [
        _rule(names, error) for names, error in ((rules.forbidden, 1), (rules.absent, 38)) if names
    ]
    found += [_rule(["ioctl"], 1, _masked(1, _LOW, value)) for value in rules.ioctls]
    found += [_rule(["clone"], 1, _masked(0, rules.new_user, rules.new_user))]
    # A mask is "all of these bits": one rule for each bit that must not be set.
    for bit in range(32):
        if rules.namespaces >> bit & 1:
            found.append(_rule(["unshare"], 1, _masked(0, 1 << bit, 1 << bit)))
    for name in ("socket", "socketpair"):
        found += _families(name, rules)
    found += _personality(rules.personalities)
    return found


def profile(machine: str) -> dict[str, Any]:
    """``linux.seccomp`` of an OCI bundle, and docker's and podman's ``seccomp=FILE``."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": [_ARCHITECTURES[machine]] if machine in _ARCHITECTURES else [],
        "syscalls": denied(machine),
    }


def _rule(names: list[str], error: int, *args: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error}
    return {**found, "args": list(args)} if args else found


def _masked(index: int, mask: int, value: int) -> dict[str, Any]:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _families(name: str, rules: seccomp.Rules) -> list[dict[str, Any]]:
    """All families but those allowed: the numbers between them, and all above.

    A range cannot be written with the arguments of one rule in every libseccomp (one
    comparison for each argument), so the small numbers are listed.
    """
    allowed = {*rules.families, rules.netlink}
    listed = [number for number in range(_LONGEST_FAMILY) if number not in allowed]
    found = [_rule([name], 97, _masked(0, _LOW, number)) for number in listed]
    for bit in range(_LONGEST_FAMILY.bit_length() - 1, 32):
        found.append(_rule([name], 97, _masked(0, 1 << bit, 1 << bit)))
    other = [bit for bit in range(32) if rules.netlink_route >> bit & 1 == 0]
    for bit in other:
        found.append(
            _rule([name], 97, _masked(0, _LOW, rules.netlink), _masked(2, 1 << bit, 1 << bit))
        )
    return found


def _personality(allowed: tuple[int, ...]) -> list[dict[str, Any]]:
    """Allowed are asking (all bits), 0 and ADDR_NO_RANDOMIZE: another bit is refused where
    the highest one is not set, and the highest one where any is missing."""
    free = max(value for value in allowed if value != _LOW)
    high = 1 << 31
    found = [
        _rule(["personality"], 1, _masked(0, high | 1 << bit, 1 << bit))
        for bit in range(31)
        if not free >> bit & 1
    ]
    return found + [
        _rule(["personality"], 1, _masked(0, high | 1 << bit, high)) for bit in range(31)
    ]
