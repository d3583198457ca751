"""The connection between the hosts of a job: real sockets, and real processes that are killed or paused."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import pytest

from rl_app.cluster.head import Head
from rl_app.cluster.member import Membership, join
from rl_app.cluster.proof import password_of, proof
from rl_app.errors import JobError
from tests.ports import free_port
from tests.waiting import until

# Names that resolve everywhere, each a host of its own on one machine
HOSTS = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
REPOSITORY = Path(__file__).parents[2]
ALONE = """
import sys
from rl_app.cluster.member import join
head, name, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
member = join(head, name, "secret", 2, 0, 20, port)
print("joined", flush=True)
while True:
    message = member.next(60)
    print(message, flush=True)
    if message is None or "end" in message or "gone" in message:
        break
"""


class Lab:
    """A head, what it was told, and what joins it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.lost: List[Tuple[str, str]] = []
        self.stops: List[str] = []
        self.processes: List[subprocess.Popen] = []
        self.head = Head(
            HOSTS, HOSTS[0], "secret", lambda *lost: self.lost.append(lost), self.stops.append, port=self.port
        )

    def join(self, name: str, password: str = "secret", cpus: int = 2, deadline_s: float = 10) -> Membership:
        return join(HOSTS[0], name, password, cpus, 0, deadline_s, self.port)

    def process(self, name: str) -> subprocess.Popen:
        words = [sys.executable, "-c", ALONE, HOSTS[0], name, str(self.port)]
        started = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, universal_newlines=True)
        self.processes.append(started)
        assert started.stdout is not None and started.stdout.readline() == "joined\n"
        return started


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab()
    yield made
    for each in made.processes:
        each.send_signal(signal.SIGCONT)
        each.kill()
        each.communicate()
    made.head.end(0, "")


def test_all_hosts_say_what_they_have_and_are_told_the_end(lab: Lab) -> None:
    members = [lab.join(name, cpus=cpus) for name, cpus in ((HOSTS[2], 3), (HOSTS[1], 4))]

    assert [(host, each.address, each.cpus) for host, each in lab.head.wait(5).items()] == [
        (HOSTS[1], HOSTS[1], 4),
        (HOSTS[2], HOSTS[2], 3),
    ]
    assert lab.head.address == HOSTS[0]
    lab.head.tell({"join": "there"})
    assert [each.next(5) for each in members] == [{"join": "there"}] * 2
    ending = threading.Thread(target=lab.head.end, args=(1, "a reason"))
    ending.start()
    assert [each.next(5) for each in members] == [{"end": [1, "a reason"]}] * 2
    for each in members:
        each.leave()
    ending.join(5)
    assert not ending.is_alive() and lab.lost == []


def test_a_host_that_does_not_come_is_named(lab: Lab) -> None:
    lab.join(HOSTS[1])

    with pytest.raises(JobError) as caught:
        lab.head.wait(0.5)

    assert str(caught.value) == f"not there after 0.5 s, which hosts_deadline sets: {HOSTS[2]}"
    with pytest.raises(JobError, match=f"^not there after 0.1 s: {HOSTS[2]}$"):
        lab.head.wait(0.1, "")


def test_a_head_that_comes_late_is_waited_for() -> None:
    port, found = free_port(), []
    waiting = threading.Thread(target=lambda: found.append(join(HOSTS[0], HOSTS[1], "secret", 2, 0, 20, port)))
    waiting.start()
    time.sleep(0.3)  # it has tried before there is one; a slower machine only makes the test easier
    head = Head(HOSTS[:2], HOSTS[0], "secret", port=port)
    assert head.wait(10)
    waiting.join(10)
    (member,) = found
    member.leave()
    head.end(0, "")


@pytest.mark.parametrize("head", [HOSTS[0], "no-such-host.invalid"])
def test_a_head_that_does_not_come_is_named(head: str) -> None:
    with pytest.raises(JobError, match=f"{head} is not there after 0.2 s, which hosts_deadline sets: "):
        join(head, HOSTS[1], "secret", 2, 0, 0.2, free_port())


def test_who_does_not_know_the_password_is_refused_and_counts_for_nothing(lab: Lab) -> None:
    with pytest.raises(JobError, match=f"{HOSTS[0]} refuses {HOSTS[1]}: the password is another one"):
        lab.join(HOSTS[1], password="another")
    with pytest.raises(JobError, match="not there"):
        lab.head.wait(0.1)


def test_a_stranger_on_the_port_is_none_of_the_hosts(lab: Lab) -> None:
    with socket.create_connection((HOSTS[0], lab.port)) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\n\r\n")
        until(lambda: stranger.recv(1000) == b"")
    with pytest.raises(JobError, match=f"{HOSTS[0]} refuses 10.0.0.1: 10.0.0.1 is no host of this job"):
        lab.join("10.0.0.1")
    assert lab.lost == []


def test_what_plays_the_head_without_the_password_gets_no_host() -> None:
    with closing(socket.create_server((HOSTS[0], 0))) as listening:

        def play() -> None:
            connected, _ = listening.accept()
            connected.sendall(b'{"nonce": "1"}\n')
            hello = json.loads(connected.makefile().readline())
            connected.sendall(json.dumps({"proof": proof("guessed", "head", hello["nonce"])}).encode() + b"\n")

        threading.Thread(target=play, daemon=True).start()
        with pytest.raises(JobError, match="does not know the password of this job"):
            join(HOSTS[0], HOSTS[1], "secret", 2, 0, 5, listening.getsockname()[1])


def test_a_second_host_of_a_name_is_refused(lab: Lab) -> None:
    first = lab.join(HOSTS[1])
    with pytest.raises(JobError, match=f"{HOSTS[1]} has been here before"):
        lab.join(HOSTS[1])
    first.leave()


def test_a_host_that_is_killed_is_lost_at_once(lab: Lab) -> None:
    process = lab.process(HOSTS[1])
    lab.join(HOSTS[2])
    lab.head.wait(5)

    process.kill()

    until(lambda: lab.lost, 5)
    assert lab.lost[0][0] == HOSTS[1] and "connection" in lab.lost[0][1]
    assert lab.head.word(0) == f"host lost: {HOSTS[1]}: {lab.lost[0][1]}"


def test_a_host_that_is_paused_is_lost_after_ten_seconds_and_told_when_it_wakes(lab: Lab) -> None:
    process, other = lab.process(HOSTS[1]), lab.join(HOSTS[2])
    lab.head.wait(5)

    process.send_signal(signal.SIGSTOP)

    until(lambda: lab.lost, 30)
    assert lab.lost == [(HOSTS[1], "silent for 10 s")]
    assert other.next(0) is None  # which lives, and was not told of any end
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate(timeout=10)
    assert "host lost: 127.0.0.3: silent for 10 s" in out or "gone" in out


def test_a_head_that_was_paused_loses_nobody_who_lives() -> None:
    """It reads what came meanwhile before it judges."""
    port = free_port()
    code = (
        "import sys, time\nfrom rl_app.cluster.head import Head\n"
        f"head = Head({HOSTS[:2]!r}, {HOSTS[0]!r}, 'secret', lambda *lost: print(lost, flush=True), port={port})\n"
        "head.wait(20); print('all', flush=True); sys.stdin.readline(); head.end(0, 'done')\n"
    )
    words = [sys.executable, "-c", code]
    head = subprocess.Popen(
        words, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True
    )
    member = join(HOSTS[0], HOSTS[1], "secret", 2, 0, 20, port)
    assert head.stdout is not None and head.stdout.readline() == "all\n"
    head.send_signal(signal.SIGSTOP)
    assert member.next(3) is None  # less than what makes it silent
    head.send_signal(signal.SIGCONT)
    assert head.stdin is not None
    head.stdin.write("\n")
    head.stdin.flush()
    assert member.next(10) == {"end": [0, "done"]}
    member.leave()
    assert head.communicate(timeout=10)[0] == ""


def test_a_head_that_is_killed_is_gone_at_once() -> None:
    port = free_port()
    code = (
        f"from rl_app.cluster.head import Head\nhead = Head({HOSTS[:2]!r}, {HOSTS[0]!r}, 'secret', port={port})\n"
        "input()\n"
    )
    head = subprocess.Popen([sys.executable, "-c", code], cwd=REPOSITORY, stdin=subprocess.PIPE)
    member = join(HOSTS[0], HOSTS[1], "secret", 2, 0, 20, port)
    head.kill()
    head.communicate()

    said: Any = member.next(5)

    assert list(said) == ["gone"] and "connection" in said["gone"]


def test_a_host_says_that_it_is_to_stop_that_it_has_failed_and_its_last_words(lab: Lab) -> None:
    members = [lab.join(name) for name in HOSTS[1:]]
    members[0].tell({"stop": 15})
    until(lambda: lab.stops == [HOSTS[1]])
    members[1].tell({"said": "env = Slow: step did not return"})
    assert lab.head.word(5) == "env = Slow: step did not return"
    members[0].tell({"failed": "Ray's raylet was ended"})
    until(lambda: lab.lost == [(HOSTS[1], "Ray's raylet was ended")])
    assert members[0].next(5) == {"end": [1, f"host lost: {HOSTS[1]}: Ray's raylet was ended"]}


def test_many_hosts_at_once() -> None:
    names = [f"127.0.1.{number}" for number in range(1, 65)]
    port = free_port()
    head = Head(names, names[0], "secret", port=port)
    found: List[Membership] = []
    threads = [
        threading.Thread(
            target=lambda name: found.append(join(names[0], name, "secret", 2, 0, 20, port)),
            args=(name,),
        )
        for name in names[1:]
    ]
    for each in threads:
        each.start()
    assert list(head.wait(30)) == names[1:]
    for each in threads:
        each.join(10)
    threading.Thread(target=head.end, args=(0, "")).start()
    for member in found:
        assert member.next(10) == {"end": [0, ""]}
        member.leave()


def test_the_password_is_the_jobs_own_and_the_same_on_every_host() -> None:
    hosts = ["algo-1", "algo-2"]
    given: Dict[str, str] = {"TRAINING_JOB_ARN": "arn:aws:sagemaker:eu-west-1:1:training-job/a"}
    passwords = [
        password_of(environ, names)
        for environ, names in itertools.product(
            ({}, given, {**given, "RL_CLUSTER_PASSWORD": "mine"}, {"TRAINING_JOB_NAME": "a"}), (hosts, hosts[:1])
        )
    ]

    assert len(set(passwords)) == 7  # one that is given counts whatever the hosts are
    assert password_of(given, hosts) == password_of(given, hosts)
    assert not any("mine" in each or "arn" in each for each in passwords)
