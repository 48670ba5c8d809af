"""Run inside the sandbox as an analysis: tries to get out, and to do honest work.

Prints one JSON object: name -> what happened. argv: port of a listener of the host, name of
an abstract socket of the host, path of a secret file of the host, seconds of a sleep that is
left behind.
"""

import ctypes
import errno
import json
import mmap
import multiprocessing
import os
import pty
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading

libc = ctypes.CDLL(None, use_errno=True)
PORT, ABSTRACT, SECRET, NAP = int(sys.argv[1]), *sys.argv[2:5]
CANARY = "repro-canary"
OWN = {"self", "thread-self"}


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


def udp_outside():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        return talk.sendto(b"x", ("8.8.8.8", 53))


def abstract():
    with socket.socket(socket.AF_UNIX) as talk:
        talk.settimeout(2)
        talk.connect("\0" + ABSTRACT)
    return ABSTRACT


def file_sockets():
    """Unix sockets of the host that lie somewhere as files (docker's, a session bus)."""
    found = []
    for folder, _, names in os.walk("/"):
        if folder.startswith(("/proc", "/sys")):
            continue
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                found.append(path)
    if not found:
        raise OSError(errno.ENOENT, "none")
    return found


def name_service():
    """A name of the outside, by whatever the C library asks."""
    try:
        return socket.getaddrinfo("example.org", 80)
    except socket.gaierror:
        raise OSError(errno.ENETUNREACH, "not resolved") from None


def mounts_of_the_host():
    """File systems that are neither the image nor memory nor the kernel's own."""
    known = {"overlay", "proc", "tmpfs", "devpts", "mqueue", "sysfs", "cgroup2", "cgroup"}
    with open("/proc/self/mountinfo") as stream:
        lines = [line.split(" - ") for line in stream]
    # Device nodes are bound over from the host one by one; a mask is a folder of the engine.
    found = [
        (before.split()[4], after.split()[0])
        for before, after in lines
        if after.split()[0] not in known and not before.split()[4].startswith(("/dev/", "/proc/"))
    ]
    if not found:
        raise OSError(errno.ENOENT, "none")
    return found


def ioctl_of_terminal(number):
    """A raw ioctl: a filter that compares 64 bits, and a kernel that takes 32, differ."""
    master, slave = pty.openpty()
    byte = ctypes.create_string_buffer(b"x")
    try:
        return system(NUMBERS["ioctl"], ctypes.c_long(slave), ctypes.c_ulong(number), byte)
    finally:
        os.close(master)
        os.close(slave)


def descriptor_of_init():
    """A descriptor of another process by pidfd_getfd(2)."""
    return system(438, os.pidfd_open(1), 0, 0)


def clone3():
    arguments = (ctypes.c_uint64 * 11)(NEWUSER, *[0] * 3, signal.SIGCHLD)
    pid = libc.syscall(435, arguments, ctypes.sizeof(arguments))
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return pid


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
            os.execv("/bin/sleep", ["sleep", NAP])
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


def kernel_files_to_write():
    """Whatever of /proc outside the processes opens for writing: root's on the host too."""
    found = []
    for folder, folders, names in os.walk("/proc"):
        if folder == "/proc":
            folders[:] = [n for n in folders if not n.isdigit() and n not in OWN]
        for name in names:
            try:
                os.close(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_NONBLOCK))
                found.append(f"{folder}/{name}")
            except OSError:
                continue
    found = [path for path in found if os.stat(path).st_rdev != os.makedev(1, 3)]
    if not found:
        raise OSError(errno.EROFS, "none")
    return found


def kernel_files_to_read():
    found = []
    for name in ("kcore", "kmsg", "slabinfo", "vmallocinfo", "timer_list", "kpagecount", "keys"):
        try:
            with open(f"/proc/{name}", "rb") as stream:
                if stream.read(1):
                    found.append(name)
        except OSError:
            continue
    if not found:
        raise OSError(errno.EACCES, "none")
    return found


def unfiltered_init():
    """Memory of pid 1 could be written by us: it must be under the same filter."""
    with open("/proc/1/status") as stream:
        fields = dict(line.split(":\t", 1) for line in stream if ":\t" in line)
    if fields["Seccomp"].strip() == "2" and int(fields["CapEff"], 16) == 0:
        raise OSError(errno.EPERM, "filtered")
    return fields


def own_powers():
    with open("/proc/self/status") as stream:
        fields = dict(line.split(":\t", 1) for line in stream if ":\t" in line)
    caps = [fields[name].strip() for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")]
    if set(caps) == {"0" * 16} and fields["NoNewPrivs"].strip() == "1":
        raise OSError(errno.EPERM, "none")
    return caps


def other_architecture():
    """getpid by the 32-bit gate of x86-64, whose numbers the filter's table does not know."""
    if ARCH != "x86_64":
        raise OSError(errno.ENOSYS, "only there")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(b"\xb8\x14\x00\x00\x00\xcd\x80\x48\x98\xc3")  # mov eax,20; int 80h; cdqe; ret
    call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    result = call()
    if result < 0:
        raise OSError(-result, "refused")
    return result


def x32():
    return system(0x40000000 | 39) if ARCH == "x86_64" else system(-1)


def in_child(call):
    """What a child says of the call, for a filter that may end whoever makes it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write, blocked(call).encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.close(read)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == -signal.SIGSYS and not said:
        raise OSError(errno.ENOSYS, "ended by the filter")
    if code == 0 and said.startswith("blocked"):
        raise OSError(errno.ENOSYS, said)
    return code, said


def by_clone(flags):
    """A child in a new namespace (clone(2)); 0 in the child."""
    pid = libc.syscall(NUMBERS["clone"], flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "refused")
    os.waitpid(pid, 0)
    return pid


def through_root_links():
    """Every process's root, folder and open files lead to our own root only."""
    own = os.stat("/").st_dev, os.stat("/").st_ino
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        for link in ("root", "cwd"):
            try:
                there = os.stat(f"/proc/{name}/{link}/")
                up = os.stat(f"/proc/{name}/root/..")
            except OSError:
                continue
            if link == "root" and (there.st_dev, there.st_ino) != own:
                found.append((name, link))
            if (up.st_dev, up.st_ino) != own:
                found.append((name, "above"))
    if not found:
        raise OSError(errno.EACCES, "none")
    return found


def above_the_root():
    os.chdir("/" + "../" * 50)
    here = os.getcwd()
    os.chdir("/project")
    if here == "/" and not os.path.exists("/oldroot") and not os.path.exists("/newroot"):
        raise OSError(errno.ENOENT, "nothing above")
    return here


def mapped_terminal():
    with open("/dev/tty", "wb"):
        return "a controlling terminal"


def signal_to_all():
    """Only the sandbox's own; nothing else is there to be signalled."""
    seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    if max(seen) < 5000 and len(seen) < 20:
        raise OSError(errno.ESRCH, "own processes only")
    return seen


def more_priority():
    os.setpriority(os.PRIO_PROCESS, 0, -5)


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
               "init_module": 175, "open_by_handle": 304, "clone": 56, "ioctl": 16,
               "umount2": 166, "process_vm_writev": 311, "request_key": 249, "syslog": 103,
               "swapon": 167, "reboot": 169, "quotactl": 179, "kcmp": 312},
    "aarch64": {"mount": 40, "ptrace": 117, "keyctl": 219, "bpf": 280, "perf": 241,
                "userfaultfd": 282, "unshare": 97, "setns": 268, "fsopen": 430, "add_key": 217,
                "pivot_root": 41, "io_uring": 425, "process_vm_readv": 270, "kexec": 104,
                "init_module": 105, "open_by_handle": 265, "clone": 220, "ioctl": 29,
               "umount2": 39, "process_vm_writev": 271, "request_key": 218, "syslog": 116,
               "swapon": 224, "reboot": 142, "quotactl": 60, "kcmp": 272},
}[ARCH]  # fmt: skip
NEWUSER, NEWNS = 0x10000000, 0x00020000

LEAKS = {
    "kernel files to write": kernel_files_to_write,
    "kernel files to read": kernel_files_to_read,
    "init without filter": unfiltered_init,
    "capabilities": own_powers,
    "32-bit calls": lambda: in_child(other_architecture),
    "x32 calls": lambda: in_child(x32),
    "clone a user namespace": lambda: by_clone(NEWUSER),
    "clone a network namespace": lambda: by_clone(0x40000000),
    "roots of processes": through_root_links,
    "above the root": above_the_root,
    "controlling terminal": mapped_terminal,
    "foreign processes": signal_to_all,
    "priority": more_priority,
    "netlink netfilter": lambda: socket.socket(16, socket.SOCK_RAW, 12),
    "virtual machine socket": lambda: socket.socket(40, socket.SOCK_STREAM),
    "tipc pair": lambda: socket.socketpair(30, socket.SOCK_SEQPACKET),
    "udp outside": lambda: udp_outside(),
    "ipv6 outside": lambda: connect("2001:4860:4860::8888", 53),
    "setgid": lambda: os.setgid(0),
    "setgroups": lambda: os.setgroups([0]),
    "host name": lambda: socket.sethostname("owned"),
    "sysctl": lambda: open("/proc/sys/kernel/core_pattern", "w"),
    "uid map": lambda: os.write(os.open("/proc/self/uid_map", os.O_WRONLY), b"0 0 1"),
    "trace me": lambda: system(NUMBERS["ptrace"], 16, os.getppid(), 0, 0),
    "other memory": lambda: open("/proc/1/mem", "r+b").read(1),
    "cgroups": lambda: open("/sys/fs/cgroup/cgroup.procs", "w"),
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
    "sockets of the host in files": file_sockets,
    "names of the outside": name_service,
    "tcp to the host by ipv6": lambda: connect("::1", PORT),
    "mounts of the host": mounts_of_the_host,
    "TIOCSTI with high bits": lambda: ioctl_of_terminal(0x1_0000_5412),
    "TIOCLINUX": lambda: ioctl_of_terminal(0x541C),
    "descriptor of init": descriptor_of_init,
    "clone3 a user namespace": clone3,
    **{
        f"new {name} namespace": lambda flag=flag: system(NUMBERS["unshare"], flag)
        for name, flag in (
            ("network", 0x40000000),
            ("process", 0x20000000),
            ("ipc", 0x08000000),
            ("host name", 0x04000000),
            ("control group", 0x02000000),
            ("time", 0x80),
        )
    },
    "namespace of init": lambda: system(NUMBERS["setns"], os.pidfd_open(1), NEWNS),
    "umount": lambda: system(NUMBERS["umount2"], b"/proc", 2),
    "open_tree": lambda: system(428, -100, b"/", 1),
    "move_mount": lambda: system(429, -100, b"/tmp", -100, b"/dev", 0),
    "mount_setattr": lambda: system(442, -100, b"/", 0, (ctypes.c_uint64 * 4)(), 32),
    "process_vm_writev": lambda: system(NUMBERS["process_vm_writev"], 1, 0, 0, 0, 0, 0),
    "request_key": lambda: system(NUMBERS["request_key"], b"user", b"a", 0, -3),
    "kernel log": lambda: system(NUMBERS["syslog"], 3, ctypes.create_string_buffer(99), 99),
    "swap": lambda: system(NUMBERS["swapon"], b"/tmp/none", 0),
    "reboot": lambda: system(NUMBERS["reboot"], 0xFEE1DEAD, 672274793, 0, 0),
    "quotas": lambda: system(NUMBERS["quotactl"], 0x80000700, 0, 0, 0),
    "kcmp": lambda: system(NUMBERS["kcmp"], 1, os.getpid(), 0, 0, 0),
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
    """A thousand at once: each waits until the last one is there."""
    pids = []
    gate, opened = os.pipe()
    for _ in range(1000):
        pid = os.fork()
        if pid == 0:
            os.close(opened)
            os.read(gate, 1)
            os._exit(0)
        pids.append(pid)
    os.close(opened)
    os.close(gate)
    return all(os.waitpid(pid, 0)[1] == 0 for pid in pids)


def jit():
    """Written, then made executable, then called: as compilers at run time do."""
    code = {"x86_64": b"\xb8\x2a\0\0\0\xc3", "aarch64": b"\x40\x05\x80\x52\xc0\x03\x5f\xd6"}
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    page.write(code[ARCH])
    place = ctypes.addressof(ctypes.c_char.from_buffer(page))
    if libc.mprotect(ctypes.c_void_p(place), 4096, mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        raise OSError(ctypes.get_errno(), "mprotect")
    return ctypes.CFUNCTYPE(ctypes.c_int)(place)() == 42


def writable_and_executable():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def executable_file():
    """A program that the run itself wrote."""
    path = shutil.copy("/bin/true", "own-program")
    os.chmod(path, 0o755)
    return subprocess.run(["./own-program"]).returncode == 0


def session_on_a_terminal():
    """A child with a controlling terminal of its own, as notebooks' terminals have."""
    pid, master = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", 'test -t 0 && read line && test "$line" = hello'])
    os.write(master, b"hello\n")
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return os.waitstatus_to_exitcode(status) == 0


def passed_descriptor():
    here, there = socket.socketpair()
    with here, there, tempfile.TemporaryFile() as stream:
        stream.write(b"x")
        stream.flush()
        socket.send_fds(here, [b"f"], [stream.fileno()])
        _, (fd,), _, _ = socket.recv_fds(there, 10, 1)
        try:
            return os.pread(fd, 1, 0) == b"x"
        finally:
            os.close(fd)


def abstract_inside():
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("\0own")
        server.listen()
        client.connect("\0own")


def system_v():
    """Segments, semaphores and queues of System V (databases, older MPI)."""
    made = [libc.shmget(0, 4096, 0o1600), libc.semget(0, 1, 0o1600), libc.msgget(0, 0o1600)]
    removed = [
        libc.shmctl(made[0], 0, None),
        libc.semctl(made[1], 0, 0),
        libc.msgctl(made[2], 0, None),
    ]
    return min(made) >= 0 and removed == [0, 0, 0]


def events():
    """epoll, eventfd, timerfd, inotify, signalfd: under every event loop."""
    import select

    fds = [libc.eventfd(0, 0), libc.timerfd_create(1, 0), libc.inotify_init1(0)]
    with select.epoll() as poller:
        poller.register(fds[0], select.EPOLLIN)
        os.write(fds[0], (1).to_bytes(8, sys.byteorder))
        seen = poller.poll(5)
    for fd in fds:
        os.close(fd)
    return len(seen) == 1 and min(fds) >= 0


def own_processors():
    chosen = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(chosen)})
    os.sched_setaffinity(0, chosen)
    os.nice(1)


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
    os.unlink(path)


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


def interfaces():
    """getifaddrs and getaddrinfo ask netlink."""
    names = [name for _, name in socket.if_nameindex()]
    return names == ["lo"] and bool(socket.getaddrinfo("localhost", 80))


def children_of_a_shell():
    done = subprocess.run("echo a | /bin/cat; exit 5", shell=True, capture_output=True)
    return done.returncode == 5 and done.stdout == b"a\n"


def spawned_pool():
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        return workers.map(square, [2, 3]) == [4, 9]


def semaphores():
    lock = multiprocessing.Semaphore(1)
    return lock.acquire(timeout=5) and not lock.acquire(block=False)


def file_locks():
    import fcntl

    with open("locked", "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def moves_and_links():
    os.makedirs("deep/er", exist_ok=True)
    with open("deep/er/a", "w") as stream:
        stream.write("x")
    os.rename("deep", "moved")
    os.link("moved/er/a", "hard")
    os.symlink("hard", "soft")
    os.chmod("hard", 0o640)
    os.utime("hard", (1, 1))
    return open("soft").read() == "x" and os.stat("moved/er/a").st_nlink == 2


def rewrite_of_the_image():
    """A file of the image is changed, one removed, one folder of it moved (by copying)."""
    with open("probe.py", "a") as stream:
        stream.write("# changed\n")
    os.unlink("/usr/bin/id")
    shutil.move("/home/a", "/home/b")
    os.mkdir("/home/a")
    return not os.path.exists("/usr/bin/id")


def another_thread_named():
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as stream:
        stream.write("named")


def own_limits():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))
    with open("/proc/self/oom_score_adj", "w") as stream:
        stream.write("500")
    return open("/proc/sys/vm/overcommit_memory").read().strip() in "012"


def clock():
    import time

    return time.time() > 1e9 and time.clock_gettime(time.CLOCK_BOOTTIME) > 0


HONEST = {
    "interfaces": interfaces,
    "shell pipe": children_of_a_shell,
    "spawned pool": spawned_pool,
    "semaphores": semaphores,
    "file locks": file_locks,
    "moves and links": moves_and_links,
    "rewrite of the image": rewrite_of_the_image,
    "thread name": another_thread_named,
    "own limits": own_limits,
    "clock": clock,
    "fifo": lambda: os.mkfifo("fifo"),
    "system info": lambda: os.cpu_count() >= 1 and os.sysconf("SC_PHYS_PAGES") > 0,
    "home": lambda: os.path.expanduser("~") == "/home/a",
    "group name": lambda: __import__("grp").getgrgid(os.getgid()).gr_name == "repro",
    "file in memory": lambda: os.close(os.memfd_create("x")),
    "big file": lambda: os.truncate(tempfile.mkstemp()[1], 5 << 30),
    "threads": threads,
    "pool": pool,
    "1,000 processes at once": many_processes,
    "just-in-time code": jit,
    "writable executable memory": writable_and_executable,
    "own program": executable_file,
    "terminal session": session_on_a_terminal,
    "descriptor passed on": passed_descriptor,
    "abstract socket inside": abstract_inside,
    "System V": system_v,
    "events": events,
    "own processors": own_processors,
    "random numbers": lambda: len(os.getrandom(16)) == 16,
    "500 open files": lambda: not any(f.close() for f in [open("/dev/null") for _ in range(500)]),
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
