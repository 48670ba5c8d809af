"""Run inside the sandbox as an analysis: tries to get out, and to do honest work.

Prints one JSON object: name -> what happened. argv: port of a listener of the host, name of
an abstract socket of the host, path of a secret file of the host, the host's uid.
"""

import ctypes
import errno
import json
import mmap
import multiprocessing
import os
import pty
import pwd
import signal
import socket
import subprocess
import sys
import tempfile
import threading

libc = ctypes.CDLL(None, use_errno=True)
PORT, ABSTRACT, SECRET = int(sys.argv[1]), sys.argv[2], sys.argv[3]
CANARY = "repro-canary"


def blocked(call):
    """'blocked: ESOMETHING', or 'LEAK: result'."""
    try:
        return f"LEAK: {call()!r}"
    except OSError as error:
        return "blocked: " + errno.errorcode.get(error.errno or 0, str(error))
    except Exception as error:
        return f"blocked: {type(error).__name__}"


def system(number, *arguments):
    """A raw system call that should be refused."""
    result = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result


def connect(*address):
    with socket.create_connection(address, timeout=2):
        return address


def abstract():
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(2)
        talk.connect("\0" + ABSTRACT)
    return ABSTRACT


def launcher_environment():
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/environ", "rb") as stream:
                    if CANARY.encode() in stream.read():
                        found.append(name)
            except OSError:
                continue
    if not found:
        raise OSError(errno.ENOENT, "no canary")
    return found


def descriptors():
    found = [fd for fd in os.listdir("/proc/self/fd") if int(fd) > 2]
    extra = []
    for fd in found:
        try:
            extra.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    extra = [place for place in extra if not place.startswith("/proc/")]
    if not extra:
        raise OSError(errno.EBADF, "none")
    return extra


def host_processes():
    for name in os.listdir("/proc"):
        if name.isdigit():
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                if b"-m\0pytest" in stream.read():
                    return name
    raise OSError(errno.ESRCH, "none")


def terminal_injection():
    import fcntl
    import termios

    master, slave = pty.openpty()
    fcntl.ioctl(slave, getattr(termios, "TIOCSTI", 0x5412), b"x")
    return master


def detach():
    """Leaves a process that a sandbox must not let live: checked from outside."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        if os.fork() == 0:
            os.execv("/bin/sleep", ["sleep", "984"])
        os._exit(0)
    raise OSError(0, "left behind")


def write_sys():
    """Allowed to change the sandbox's own name at most: the test looks at the host's."""
    with open("/proc/sys/kernel/hostname", "w") as stream:
        stream.write("owned")
    raise OSError(errno.EPERM, "inside only")


def write_proc_trigger():
    with open("/proc/sysrq-trigger", "w") as stream:
        stream.write("h")


def setuid():
    os.setuid(0)


def escape_chroot():
    os.chroot("/tmp")


def device():
    os.mknod("/tmp/disk", 0o060600, os.makedev(8, 0))


def kill_all():
    os.kill(1, signal.SIGKILL)
    with open("/proc/1/status") as stream:
        stream.read()
    raise OSError(errno.EPERM, "init lives")


ARCH = os.uname().machine
NUMBERS = {
    "x86_64": {"mount": 165, "ptrace": 101, "keyctl": 250, "bpf": 321, "perf": 298,
               "userfaultfd": 323, "unshare": 272, "setns": 308, "fsopen": 430, "add_key": 248,
               "pivot_root": 155, "io_uring": 425, "process_vm_readv": 310, "kexec": 246,
               "init_module": 175, "open_by_handle": 304},
    "aarch64": {"mount": 40, "ptrace": 117, "keyctl": 219, "bpf": 280, "perf": 241,
                "userfaultfd": 282, "unshare": 97, "setns": 268, "fsopen": 430, "add_key": 217,
                "pivot_root": 41, "io_uring": 425, "process_vm_readv": 270, "kexec": 104,
                "init_module": 105, "open_by_handle": 265},
}[ARCH]  # fmt: skip
NEWUSER, NEWNS = 0x10000000, 0x00020000

LEAKS = {
    "tcp to the host": lambda: connect("127.0.0.1", PORT),
    "tcp outside": lambda: connect("8.8.8.8", 53),
    "abstract socket": abstract,
    "raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "packet socket": lambda: socket.socket(17, socket.SOCK_RAW),
    "crypto socket": lambda: socket.socket(38, socket.SOCK_SEQPACKET),
    "secret file": lambda: open(SECRET).read(),
    "shadow": lambda: open("/etc/shadow").read(),
    "launcher's environment": launcher_environment,
    "host processes": host_processes,
    "kill init": kill_all,
    "TIOCSTI": terminal_injection,
    "kernel hostname": write_sys,
    "sysrq": write_proc_trigger,
    "setuid": setuid,
    "chroot": escape_chroot,
    "device": device,
    "key list": lambda: open("/proc/keys").read() or open("/none"),
    "kernel memory": lambda: open("/proc/kcore", "rb").read(1) or open("/none"),
    "disk devices": lambda: open("/dev/sda", "rb") or open("/dev/vda", "rb"),
    "mount": lambda: system(NUMBERS["mount"], b"none", b"/tmp", b"tmpfs", 0, None),
    "ptrace": lambda: system(NUMBERS["ptrace"], 0, 0, 0, 0),
    "keyctl": lambda: system(NUMBERS["keyctl"], 0, -3, 1),
    "add_key": lambda: system(NUMBERS["add_key"], b"user", b"a", b"b", 1, -3),
    "bpf": lambda: system(NUMBERS["bpf"], 0, 0, 0),
    "perf": lambda: system(NUMBERS["perf"], 0, 0, -1, -1, 0),
    "userfaultfd": lambda: system(NUMBERS["userfaultfd"], 0),
    "new user namespace": lambda: system(NUMBERS["unshare"], NEWUSER),
    "new mount namespace": lambda: system(NUMBERS["unshare"], NEWNS),
    "setns": lambda: system(NUMBERS["setns"], 0, 0),
    "fsopen": lambda: system(NUMBERS["fsopen"], b"tmpfs", 0),
    "pivot_root": lambda: system(NUMBERS["pivot_root"], b"/", b"/"),
    "io_uring": lambda: system(NUMBERS["io_uring"], 1, 0),
    "process_vm_readv": lambda: system(NUMBERS["process_vm_readv"], 1, 0, 0, 0, 0, 0),
    "kexec": lambda: system(NUMBERS["kexec"], 0, 0, 0, 0),
    "init_module": lambda: system(NUMBERS["init_module"], 0, 0, 0),
    "open by handle": lambda: system(NUMBERS["open_by_handle"], -100, 0, 0),
}


def works(call):
    """'ok', or what went wrong."""
    try:
        result = call()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "ok" if result in (None, True) else f"unexpected {result!r}"


def threads():
    done = []
    group = [threading.Thread(target=done.append, args=(n,)) for n in range(50)]
    [each.start() for each in group]
    [each.join() for each in group]
    return len(done) == 50


def square(value):
    return value * value


def pool():
    with multiprocessing.get_context("fork").Pool(3) as workers:
        return workers.map(square, [1, 2, 3]) == [1, 4, 9]


def many_processes():
    pids = []
    for _ in range(300):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        pids.append(pid)
    return all(os.waitpid(pid, 0)[1] == 0 for pid in pids)


def jit():
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.close()


def terminal():
    master, slave = pty.openpty()
    os.write(slave, b"x")
    return os.read(master, 1) == b"x"


def local_socket():
    path = tempfile.mktemp()
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen()
        client.connect(path)


def loopback():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        connect(*server.getsockname())


def shared_memory():
    from multiprocessing import shared_memory

    block = shared_memory.SharedMemory(create=True, size=1000)
    block.close()
    block.unlink()


HONEST = {
    "threads": threads,
    "pool": pool,
    "300 processes": many_processes,
    "executable memory": jit,
    "terminal": terminal,
    "unix socket": local_socket,
    "loopback": loopback,
    "shared memory": shared_memory,
    "random": lambda: len(os.urandom(8)) == 8 and len(open("/dev/urandom", "rb").read(4)) == 4,
    "temporary file": lambda: tempfile.NamedTemporaryFile().close(),
    "user name": lambda: pwd.getpwuid(os.getuid()).pw_name == "repro",
    "shell": lambda: subprocess.run(["/bin/sh", "-c", "exit 3"]).returncode == 3,
    "write here": lambda: open("written", "w").close(),
    "locale": lambda: __import__("locale").setlocale(0, "C.UTF-8") == "C.UTF-8",
    "cpu count": lambda: (os.cpu_count() or 0) >= 1,
    "host name": lambda: socket.gethostname() == "repro",
}

if __name__ == "__main__":
    found = {"leak: inherited descriptors": blocked(descriptors)}
    found.update({f"honest: {name}": works(call) for name, call in HONEST.items()})
    found.update({f"leak: {name}": blocked(call) for name, call in LEAKS.items()})
    found["left behind"] = blocked(detach)
    json.dump(found, sys.stdout, indent=1)
