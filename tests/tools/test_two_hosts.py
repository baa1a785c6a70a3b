"""``torchrun --nnodes 2``: one run on two machines, and what becomes of it when the line between them is cut.

Two network namespaces, joined by a pair of virtual Ethernet devices, are the machines; where the system allows none,
only two torchruns of one machine are tried.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from tests.tools import test_torchrun as one_host

pytestmark = pytest.mark.slow

ALONE = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # or torch tells a new torchrun no place to meet the old at
PATIENCE = 10  # seconds that a rank waits for the others
WAITS = """
import pathlib

@HOOKS.register
class Waits(Hook):
    def before_train_iter(self, run, batch):
        if run.iteration == 15 and os.environ.get("WAIT"):
            pathlib.Path(f"waits{run.ranks.rank}").touch()
            while not pathlib.Path("cut").exists():
                time.sleep(0.05)
"""


class Host(NamedTuple):
    """A machine: what runs a command on it, the device of its line, and its address."""

    enter: list[str]
    device: str
    address: str

    def start(
        self, folder: Path, endpoint: str, *arguments: str, is_host: bool | None = None, restarts: int = 0, **more: str
    ) -> subprocess.Popen[str]:
        """Its torchrun, which has one process of the two."""
        command = [*self.enter, sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", endpoint, "--rdzv-id", "7"]
        if is_host is None:  # torch would ask for the address of the host's name
            is_host = endpoint.startswith(f"{self.address}:")
        heard = "keep_alive_interval=1,read_timeout=10"  # a machine that is not heard of for three seconds is lost
        command += ["--rdzv-conf", f"is_host={is_host},{heard}", "--local-addr", self.address]
        command += ["--max-restarts", str(restarts)]
        command += [str(one_host.ROOT / "tools" / "train.py"), "config.py", *arguments]
        environment = os.environ | {"GLOO_SOCKET_IFNAME": self.device, "PEGBOARD_TIMEOUT": str(PATIENCE)} | more
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


def ip(*words: str) -> None:
    """Set up networks; the test is skipped where that is not allowed."""
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no network namespaces here: ip {' '.join(words)}: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def hosts() -> Iterator[list[Host]]:
    """Two machines with a line between them."""
    if shutil.which("ip") is None:
        pytest.skip("no network namespaces here: there is no command ip")
    names = [f"pegboard{os.getpid()}{side}" for side in "ab"]
    found = []
    try:
        for name in names:
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        ip("-n", names[0], "link", "add", "line", "type", "veth", "peer", "name", "line", "netns", names[1])
        for number, name in enumerate(names, 1):
            address = f"10.77.0.{number}"
            ip("-n", name, "address", "add", f"{address}/24", "dev", "line")
            ip("-n", name, "link", "set", "line", "up")
            found.append(Host(["ip", "netns", "exec", name], "line", address))
        yield found
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return filled(tmp_path)


def filled(folder: Path) -> Path:
    (folder / "parts.py").write_text(one_host.PARTS + WAITS)
    (folder / "config.py").write_text(one_host.CONFIG + "hooks['waits'] = dict(type='Waits')\n")
    return folder


def ends(running: list[subprocess.Popen[str]], seconds: float = 240) -> list[tuple[int, str]]:
    """Exit status of each, and what it said."""
    found = []
    for process in running:
        said = process.communicate(timeout=seconds)[0]
        found.append((process.returncode, said))
    return found


def both(hosts: list[Host], folder: Path, *arguments: str) -> None:
    """A run on both machines that nothing disturbs."""
    running = [host.start(folder, f"{hosts[0].address}:29400", *arguments) for host in hosts]
    for status, said in ends(running):
        assert status == 0, said


@pytest.fixture(scope="module")
def whole(hosts: list[Host], tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a run on both machines that nothing disturbs."""
    folder = filled(tmp_path_factory.mktemp("whole"))
    both(hosts, folder, "--work-dir", "run")
    return one_host.weights(folder / "run")


def half_way(hosts: list[Host], folder: Path, restarts: int = 0, **more: str) -> list[subprocess.Popen[str]]:
    """A run on both machines whose ranks wait in iteration 15 until there is a file ``cut``."""
    endpoint = f"{hosts[0].address}:29400"
    options = {"restarts": restarts, "WAIT": "1", **more}
    running = [host.start(folder, endpoint, "--work-dir", "run", **options) for host in hosts]  # type: ignore[arg-type]
    while not all((folder / f"waits{rank}").exists() for rank in (0, 1)):
        assert all(process.poll() is None for process in running), ends(running)
        time.sleep(0.1)
    return running


def on_line(host: Host, state: str) -> None:
    """Set a machine's end of the line up or down."""
    ip("-n", host.enter[-1], "link", "set", "line", state)


def cut(hosts: list[Host], folder: Path) -> None:
    """Cut the line, and wait for the end of the ranks: within PEGBOARD_TIMEOUT, and a little."""
    on_line(hosts[0], "down")
    began = time.monotonic()
    (folder / "cut").touch()
    logs = [folder / "run" / name for name in ("log.txt", "log_rank1.txt")]
    while not all("failed; everything is in run" in log.read_text() for log in logs):
        assert time.monotonic() - began < PATIENCE + 30
        time.sleep(0.1)
    print(f"the ranks have ended after {time.monotonic() - began:.0f} s")


def assert_same(folder: Path, whole: dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(whole[name], weight) for name, weight in one_host.weights(folder / "run").items())


def test_a_cut_line_ends_the_run_and_it_goes_on_to_the_same_bits(
    hosts: list[Host], folder: Path, whole: dict[str, torch.Tensor]
) -> None:
    """The ranks end within PEGBOARD_TIMEOUT; the torchrun that is cut off does when it hears of the other again."""
    running = half_way(hosts, folder)
    cut(hosts, folder)
    on_line(hosts[0], "up")
    for status, said in ends(running, 180):
        assert status == 1, said
    assert (folder / "run" / "checkpoints" / "iteration_00000014.pt").is_file()
    both(hosts, folder, "--work-dir", "run", "--resume", "run")
    assert_same(folder, whole)


def test_a_line_that_stays_cut_ends_both_torchruns(hosts: list[Host], folder: Path) -> None:
    """The one that is cut off waits for as long as Linux sends again what is not answered: a quarter of an hour."""
    resend(hosts[1], 5)
    running = half_way(hosts, folder)
    try:
        cut(hosts, folder)
        began = time.monotonic()
        for status, said in ends(running, 60):
            assert status == 1, said
        print(f"the torchruns have ended {time.monotonic() - began:.0f} s later")
    finally:
        on_line(hosts[0], "up")
        resend(hosts[1], 15)


def resend(host: Host, times: int) -> None:
    """Set how often a machine sends what nobody answers before it takes the connection for lost."""
    words = [*host.enter, "sysctl", "-w", f"net.ipv4.tcp_retries2={times}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{' '.join(words)}: {done.stderr.strip()}")


def test_a_line_that_is_back_starts_the_ranks_again(
    hosts: list[Host], folder: Path, whole: dict[str, torch.Tensor]
) -> None:
    running = half_way(hosts, folder, restarts=3, **ALONE)
    cut(hosts, folder)
    on_line(hosts[0], "up")
    said = ends(running, 180)
    assert [status for status, _ in said] == [0, 0], said
    assert "resumed at iteration 14 of 24" in said[0][1]
    assert_same(folder, whole)


def test_a_machine_that_is_lost_may_be_replaced(
    hosts: list[Host], folder: Path, whole: dict[str, torch.Tensor]
) -> None:
    """As if it had been switched off and on: its torchrun and its ranks are killed, and a new torchrun comes."""
    running = half_way(hosts, folder, restarts=3, **ALONE)
    kill(running[1])
    (folder / "cut").touch()
    again = hosts[1].start(folder, f"{hosts[0].address}:29400", "--work-dir", "run", restarts=3, **ALONE)
    said = ends([running[0], again], 180)
    assert [status for status, _ in said] == [0, 0], said
    assert "resumed at iteration 14 of 24" in said[0][1]
    assert_same(folder, whole)


def kill(torchrun: subprocess.Popen[str]) -> None:
    """By SIGKILL, with its ranks."""
    tasks = Path(f"/proc/{torchrun.pid}/task/{torchrun.pid}/children")
    for process in [torchrun.pid, *map(int, tasks.read_text().split())]:
        os.kill(process, signal.SIGKILL)
    torchrun.communicate()


def test_a_killed_rank_starts_those_of_the_other_torchrun_again_too(folder: Path) -> None:
    """On one machine: two agents, each of which counts the failures of its own ranks only."""
    options = ["--work-dir", "run", "--cfg-options", "how='SIGKILL'"]
    said = ends(two_here(folder, *options, restarts=1))
    assert [status for status, _ in said] == [0, 0], said
    assert "resumed at iteration 14 of 24" in said[0][1] + said[1][1]


def two_here(folder: Path, *arguments: str, restarts: int = 0) -> list[subprocess.Popen[str]]:
    """Two torchruns of this machine, which meet at one of its ports."""
    here = Host([], "lo", "127.0.0.1")
    with socket.socket() as found:
        found.bind((here.address, 0))
        endpoint = f"{here.address}:{found.getsockname()[1]}"
    return [here.start(folder, endpoint, *arguments, is_host=first, restarts=restarts) for first in (True, False)]


def test_two_torchruns_of_one_machine(folder: Path) -> None:
    """Where no network can be made."""
    for status, said in ends(two_here(folder, "--work-dir", "two")):
        assert status == 0, said
    status, said = one_host.train(folder, "one")
    assert status == 0, said
    one, two = (one_host.weights(folder / name) for name in ("one", "two"))
    for name, weight in two.items():  # each torchrun takes the machine for its own, so that the ranks have more threads
        assert (one[name] - weight).abs().max() <= 1e-5, name
