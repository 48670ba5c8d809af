"""Programs that are hard to watch: they must run as ever, and be seen or said."""

from __future__ import annotations

import array
import ctypes
import os
import platform
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.model.observation import Change
from repro.observe import kernel
from repro.observe.kernel import Peek
from repro.observe.ledger import Ledger
from repro.observe.notifier import Notifier
from repro.observe.probe import reason_against_notify
from tests.unit.observe.recording_sample import PYTHON, Lab, changes, compiled, got, need

INT80 = r"""
#include <sys/mman.h>
#include <string.h>
static long call(long number, long a, long b, long c) {
    long answer;
    __asm__ volatile("int $0x80" : "=a"(answer) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return answer;
}
int main(void) {
    char *low = mmap((void *)0x20000000, 4096, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (low == MAP_FAILED) return 1;
    strcpy(low, "in.csv");
    long fd = call(5, (long)low, 0, 0);
    if (fd == -38 || fd == -14) return 77;
    if (fd < 0) return 2;
    strcpy(low, "out.csv");
    return call(8, (long)low, 0644, 0) < 0 ? 3 : 0;
}
"""
TIMER = r"""
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>
static volatile int ticks;
static void tick(int n) { (void)n; ticks++; }
int main(void) {
    struct sigaction action = {0};
    action.sa_handler = tick;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, 0);
    struct itimerval fast = {{0, 300}, {0, 300}};
    setitimer(ITIMER_REAL, &fast, 0);
    for (int i = 0; i < 3000; i++) {
        int fd = open("in.csv", O_RDONLY);
        if (fd < 0) return 1;
        close(fd);
    }
    return ticks == 0;
}
"""
PAGE_END = r"""
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int count, char **words) {
    long page = sysconf(_SC_PAGESIZE);
    char *at = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(at + 2 * page, page);
    char *name = at + 2 * page - strlen(words[1]) - 1;
    strcpy(name, words[1]);
    return open(name, O_RDONLY) < 0;
}
"""
LISTENER = """
import ctypes, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)
code = struct.pack('HBBI', 6, 0, 0, 0x7fff0000)
keep = ctypes.create_string_buffer(code, len(code))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
program = Program(1, ctypes.addressof(keep))
number = {'x86_64': 317, 'aarch64': 277}[sys.argv[1]]
fd = libc.syscall(number, 1, 8, ctypes.byref(program))
print(fd, ctypes.get_errno())
"""
IO_URING = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(425, 8, ctypes.create_string_buffer(120)), ctypes.get_errno())
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path, {"in.csv": "1\n"})
    yield made
    made.close()


def test_a_32_bit_system_call(lab: Lab) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("int 0x80 is of x86")
    seen = lab.run(compiled(lab.folder, INT80))
    if seen.steps[0].exit == 77:
        pytest.skip("this kernel has no 32-bit system calls")
    assert seen.steps[0].exit == 0
    assert got(seen, lab.root / "in.csv").read_first
    assert got(seen, lab.root / "out.csv").written


def test_a_fast_timer_interrupts_nothing_that_restarts(lab: Lab) -> None:
    seen = lab.run(compiled(lab.folder, TIMER))
    assert seen.steps[0].exit == 0
    assert got(seen, lab.root / "in.csv").read_first


@pytest.mark.parametrize("length", [1, 100, 255, 256, 257, 2303, 2304, 4000, 4095])
def test_a_path_that_ends_with_its_page(lab: Lab, length: int) -> None:
    program = compiled(lab.folder, PAGE_END)
    folder = str(lab.root / "f")
    Path(folder).write_text("x")
    name = folder
    if length > len(folder):
        spare = length - len(folder)
        name = f"{lab.root}/{'/' * spare}f"
        assert len(name) == length
    seen = lab.run(program, name)
    assert seen.steps[0].exit == 0
    assert got(seen, folder).read_first


def test_paths_of_this_process_are_read_to_their_page_end() -> None:
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 5]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    start = libc.mmap(None, 3 * 4096, 3, 0x22, 2**64 - 1, 0)
    libc.munmap(start + 2 * 4096, 4096)
    peek, pid = Peek(), os.getpid()
    for length in (0, 1, 255, 256, 2304, 4094, 4095):
        end = start + 2 * 4096
        ctypes.memmove(end - length - 1, b"p" * length + b"\0", length + 1)
        assert peek.text_at(pid, end - length - 1) is not None
        assert len(peek.text_at(pid, end - length - 1) or b"") == length
    assert peek.text_at(pid, start + 2 * 4096) is None
    assert peek.bytes_at(pid, start + 2 * 4096 - 10, 100) == b"p" * 9 + b"\0"
    libc.munmap(start, 2 * 4096)


def test_names_that_are_no_text(lab: Lab) -> None:
    script = (
        "import os\n"
        "for name in (b'\\xff\\xfe', b'new\\nline', b'n' * 255, b'\\x1b[31m', 'ü'.encode()):\n"
        "    open(name, 'wb').write(b'x'); open(name, 'ab').close(); os.chmod(name, 0o600)\n"
        "os.mkdir(b'd\\xff'); os.chdir(b'd\\xff'); open('in', 'w').close()\n"
    )
    seen = lab.python(script)
    names = {"\udcff\udcfe", "new\nline", "n" * 255, "\x1b[31m", "ü", "d\udcff/in"}
    assert changes(seen) == dict.fromkeys(names, Change.CREATED)
    for name in names:
        assert got(seen, f"{lab.root}/{name}").written


def test_twenty_thousand_arguments(lab: Lab) -> None:
    script = "import subprocess; subprocess.run(['true', *map(str, range(20000))], check=True)"
    seen = lab.python(script)
    words = seen.processes[-1].argv
    assert words[:3] == ("true", "0", "1") and words[-1] == "..."


def test_empty_arguments(lab: Lab) -> None:
    seen = lab.python("import os; os.posix_spawn('/bin/true', ['true', '', ''], {})")
    assert seen.processes[-1].argv == ("true", "", "")


@pytest.mark.parametrize(
    "start",
    [
        "os.posix_spawn('/bin/cat', ['cat', 'in.csv'], {})",
        "subprocess.run(['/bin/cat', 'in.csv'])",
        "os.system('cat in.csv')",
        "subprocess.Popen(['cat', 'in.csv'], start_new_session=True).wait()",
    ],
)
def test_ways_to_start_a_program(lab: Lab, start: str) -> None:
    seen = lab.python(f"import os, subprocess, sys; sys.stdout.flush(); {start}; os.wait3")
    assert seen.processes[-1].exe.endswith("/cat")
    assert seen.processes[-1].parent is not None
    assert got(seen, lab.root / "in.csv").first_reader == seen.processes[-1].number


def test_threads_that_open_while_others_start_programs(lab: Lab) -> None:
    script = (
        "import subprocess, threading\n"
        "def work(n):\n"
        "    for i in range(20):\n"
        "        open(f'f{n}.{i}', 'w').close()\n"
        "        if i % 5 == 0: subprocess.run(['true'])\n"
        "each = [threading.Thread(target=work, args=(n,)) for n in range(6)]\n"
        "[t.start() for t in each]; [t.join() for t in each]\n"
    )
    seen = lab.python(script)
    assert len(seen.changes) == 120
    assert sum(each.exe.endswith("/true") for each in seen.processes) == 24
    assert {each.first_writer for each in seen.accesses if each.path.startswith(str(lab.root))} == {
        0
    }


def test_a_program_with_a_listener_of_its_own_is_told_busy(lab: Lab) -> None:
    seen = lab.python(f"import sys; sys.argv[1:] = [{platform.machine()!r}]\n{LISTENER}")
    assert seen.steps[0].tail == ("-1 16",)


def test_a_recording_inside_a_recording_says_why_it_falls_back(lab: Lab) -> None:
    script = (
        f"import sys; sys.path[:0] = {[p for p in __import__('sys').path if p]!r}\n"
        "from repro.observe.probe import reason_against_notify\n"
        "print(reason_against_notify())"
    )
    assert "busy" in lab.python(script).steps[0].tail[-1].lower()


def test_io_uring_is_answered_with_enosys(lab: Lab) -> None:
    assert lab.python(IO_URING).steps[0].tail == ("-1 38",)


def test_a_program_that_traces_another(lab: Lab) -> None:
    strace = need("strace")
    seen = lab.sh(f"{strace} -f -o log -e trace=openat cat in.csv; grep -c openat log")
    assert seen.steps[0].tail[0] == "1"
    assert got(seen, lab.root / "in.csv").read_first


def test_programs_that_outlive_the_first_are_ended_and_named(lab: Lab) -> None:
    word = own_word()
    seen = lab.sh(f"(setsid sleep {word} &) ; echo started")
    assert [limit for limit in seen.limits if "sleep" in limit and "outlived" in limit]
    assert not alive(word.encode())


def test_what_a_short_daemon_writes_is_captured_without_a_word(lab: Lab) -> None:
    seen = lab.sh("(sleep 0.2; echo late > late) & echo first")
    assert changes(seen) == {"late": Change.CREATED}
    assert not any("outlived" in limit for limit in seen.limits)
    assert got(seen, lab.root / "late").written


def test_orphans_of_orphans_are_found(lab: Lab) -> None:
    word = own_word()
    seen = lab.sh(f"( ( ( sleep {word} & ) & ) & ) ; true")
    assert not alive(word.encode())
    assert any("outlived" in limit for limit in seen.limits)


DETACHED = r"""
#include <pthread.h>
#include <unistd.h>
#include <fcntl.h>
static void *late(void *unused) {
    usleep(300000);
    close(creat("late", 0644));
    return unused;
}
int main(void) {
    pthread_t other;
    pthread_create(&other, 0, late, 0);
    pthread_exit(0);
}
"""


@pytest.mark.parametrize("how", ["{program}", "({program} &)"])
def test_a_program_whose_first_thread_ends_early(lab: Lab, how: str) -> None:
    program = compiled(lab.folder, DETACHED, "-pthread")
    seen = lab.sh(how.format(program=program))
    assert changes(seen) == {"late": Change.CREATED}
    assert not any("outlived" in limit for limit in seen.limits)


def test_the_bell_ends_the_loop_where_the_listener_does_not_hang_up() -> None:
    """As before Linux 6.11, where it stays open until the ended programs are waited for."""
    if reason_against_notify() is not None:
        pytest.skip("no listener")
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            listener = array.array("i", [kernel.install_listener()])
            theirs.sendmsg([b"L"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, listener)])
            theirs.recv(1)
        finally:
            os._exit(0)
    theirs.close()
    _, extra, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    (listener,) = struct.unpack("i", extra[0][2][:4])
    bell, ring = os.pipe()
    threading.Timer(0.1, os.write, (ring, b".")).start()
    Notifier(listener, platform.machine(), Ledger(), None).run(bell)
    assert os.waitpid(pid, os.WNOHANG) == (0, 0)
    ours.close()
    os.waitpid(pid, 0)
    for fd in (listener, bell, ring):
        os.close(fd)


def test_a_program_below_another_root_is_said(lab: Lab) -> None:
    if os.geteuid() != 0:
        pytest.skip("chroot needs root")
    static = compiled(
        lab.folder, '#include <fcntl.h>\nint main(){return open("/in.csv", 0) < 0;}', "-static"
    )
    (lab.root / "prog").write_bytes(Path(static).read_bytes())
    (lab.root / "prog").chmod(0o755)
    script = f"import os; os.chroot({str(lab.root)!r}); os.execv('/prog', ['/prog'])"
    seen = lab.python(script)
    assert any("another root" in limit for limit in seen.limits)
    assert seen.processes[-1].exe == "/prog"


def test_many_opens_of_one_file_are_one_line(lab: Lab) -> None:
    seen = lab.python("for n in range(3000): open('in.csv').close(); open('/etc/passwd').close()")
    assert sum(each.path.endswith(("in.csv", "/etc/passwd")) for each in seen.accesses) == 2


def test_special_files_are_no_results(lab: Lab) -> None:
    script = "import os, socket; os.mkfifo('pipe'); socket.socket(socket.AF_UNIX).bind('sock')"
    assert changes(lab.python(script)) == {}


def test_folders_without_rights_can_be_thrown_away(lab: Lab) -> None:
    lab.sh("mkdir -p locked/in; echo x > locked/in/x; chmod 0 locked/in/x; chmod 500 locked/in")
    lab.close()
    assert list(lab.scratch.iterdir()) == []


def test_ways_of_removing_and_making_again(lab: Lab) -> None:
    (lab.root / "d").mkdir()
    for name in ("a", "b", "c"):
        (lab.root / "d" / name).write_text(name)
    seen = lab.sh("rm -r d; mkdir d; echo new > d/a; rm in.csv; mkdir in.csv; echo y > in.csv/y")
    assert changes(seen) == {
        "d/a": Change.CHANGED,
        "d/b": Change.DELETED,
        "d/c": Change.DELETED,
        "in.csv": Change.DELETED,
        "in.csv/y": Change.CREATED,
    }


def test_what_is_only_touched_by_the_overlay_is_no_change(lab: Lab) -> None:
    seen = lab.python("import os; os.close(os.open('in.csv', os.O_RDWR)); os.link('in.csv', 'l')")
    assert changes(seen) == {"l": Change.CREATED}


def own_word(number: int = 4321) -> str:
    """So many seconds to sleep that no other run of these tests sleeps as many."""
    return f"{number}.{os.getpid()}"


def alive(word: bytes) -> bool:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/cmdline", "rb") as stream:
                    if word in stream.read().split(b"\0"):
                        return True
            except OSError:
                continue
    return False


def test_the_word_of_a_running_program_is_found() -> None:
    command = [PYTHON, "-c", "print(flush=True); input()", "8765"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert alive(b"8765")
        child.communicate(b"\n")
    assert not alive(b"8765")
