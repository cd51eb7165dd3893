"""A key belongs to one of several shards, the same one everywhere; changes move only the keys that they must."""

import copy
import math
import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import remuda
from remuda import ShardMap, shard, testing
from tests.support import in_runtime

KEYS: list[str | bytes | int] = [
    *(f"key-{n}" for n in range(3000)),
    *(f"key-{n}".encode() for n in range(3000)),
    *range(3000),
]

names = st.lists(st.text(max_size=8), min_size=1, max_size=12, unique=True)

GOLDEN: list[tuple[str | bytes | int, tuple[str, str]]] = [
    ("", ("d", "e")),
    ("order-17", ("d", "a")),
    ("grün", ("b", "e")),
    (b"", ("a", "b")),
    (b"order-17", ("a", "e")),
    (b"\xff\x00", ("e", "b")),
    (0, ("b", "c")),
    (1, ("a", "b")),
    (-1, ("e", "b")),
    (9223372036854775807, ("a", "d")),
    (-9223372036854775808, ("b", "d")),
    (9223372036854775808, ("e", "a")),
    (2**200, ("c", "e")),
    (-(2**200), ("a", "b")),
]
"""What a map of a, b (of weight 2), c, d (of weight 1/2) and e says of these keys, for all time."""


def golden_map() -> ShardMap[str]:
    """The map that the golden owners are of."""
    return ShardMap(["a", "b", "c", "d", "e"], weights=[1, 2, 1, 0.5, 1], replicas=2)


@pytest.mark.parametrize(("key", "owners"), GOLDEN, ids=repr)
def test_it_is_the_same_for_all_time(key: str | bytes | int, owners: tuple[str, str]) -> None:
    """The owners of some keys are what they have always been."""
    assert golden_map().owners(key) == owners
    assert golden_map()[key] == owners[0]


def test_other_processes_agree() -> None:
    """A process with another hash seed finds the same owners."""
    program = "import remuda; print([remuda.shard(n, ['a', 'b', 'c']) for n in range(99)])"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    told = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == str([shard(n, ["a", "b", "c"]) for n in range(99)])


@given(names, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_means_nothing(shards: list[str], random: Any) -> None:
    """Shards may be given in any order, and added one after the other, with the same result."""
    whole = ShardMap(shards)
    mixed = random.sample(shards, len(shards))
    grown = ShardMap(mixed[:1])
    for name in mixed[1:]:
        grown.add(name)
    assert grown == whole
    for key in KEYS[::100]:
        assert whole[key] == grown[key] == shard(key, mixed)
        assert whole.owners(key, len(shards)) == grown.owners(key, len(shards))


@given(names.filter(lambda them: len(them) > 1), st.data())
@settings(max_examples=30, deadline=None)
def test_only_what_must_move_moves(shards: list[str], data: Any) -> None:
    """When a shard goes, its own keys go to others and no other moves; when it comes back, so do exactly they."""
    gone = data.draw(st.sampled_from(shards))
    cities = ShardMap(shards)
    before = {key: cities.owners(key, len(shards)) for key in KEYS[::50]}
    part = cities.remove(gone)
    assert gone not in cities
    for key, owners in before.items():
        left = tuple(owner for owner in owners if owner != gone)
        assert cities.owners(key, len(left)) == left, "each key goes to who came next"
    assert cities.add(gone) == part
    assert {key: cities.owners(key, len(shards)) for key in before} == before


def test_moves_and_shares_are_near_the_best() -> None:
    """Of 1,000 shards the largest has at most 1.15 times the mean; a change moves at most 1.05 times the least."""
    cities = ShardMap(range(1000))
    shares = cities.shares()
    assert math.isclose(sum(shares.values()), 1)
    assert max(shares.values()) * 1000 < 1.15
    moved = [cities.remove(name) for name in range(0, 1000, 20)]
    assert sum(moved) / 50 * 1000 < 1.05
    few = ShardMap(range(10))
    counts = dict.fromkeys(range(10), 0)
    for key in range(100_000):
        counts[few[key]] += 1
    for name, share in few.shares().items():
        # Four standard deviations of a binomial distribution.
        assert abs(counts[name] - 100_000 * share) < 4 * math.sqrt(100_000 * share)


def test_weights_are_kept() -> None:
    """A shard of twice the weight has twice the keys, within the scatter of its points."""
    shares = ShardMap({"a": 0, "b": 0, "c": 0}, weights={"a": 1, "b": 2, "c": 5}).shares()
    for name, weight in (("a", 1), ("b", 2), ("c", 5)):
        # The share of n points scatters by 1 / sqrt(n); four times that.
        assert abs(shares[name] / (weight / 8) - 1) < 4 / math.sqrt(1024 * weight)


def test_loads_are_bounded() -> None:
    """With bounded load no shard has more than its part, times the factor, and each key stays near its owner."""
    cities = ShardMap(["a", "b", "c", "d"], load_factor=1.1)
    given_to = [cities.assign("the same key") for _ in range(400)]
    assert set(given_to) == {"a", "b", "c", "d"}
    assert given_to[0] == cities["the same key"]
    assert max(cities.loads().values()) <= math.ceil(1.1 * 100)
    assert sum(cities.loads().values()) == 400
    for name in given_to:
        cities.release(name)
    assert cities.loads() == dict.fromkeys("abcd", 0)
    with pytest.raises(ValueError, match="assigned"):
        cities.release("a")
    with pytest.raises(KeyError):
        cities.release("z")


@in_runtime
async def test_agents_are_shards(runtime: remuda.Runtime) -> None:
    """Agents are known by their names, so that a map of agents agrees with one of their names, and may be sent."""

    async def idle(mailbox: remuda.Mailbox[Any]) -> None:
        await mailbox.recv()

    agents = [runtime.spawn(idle, name=name) for name in ("a", "b", "c")]
    cities = ShardMap(agents, replicas=2)
    for key in KEYS[::300]:
        assert cities[key].name == shard(key, ["a", "b", "c"]) == shard(key, agents).name
        assert tuple([agent.name for agent in cities.owners(key)]) == ShardMap(
            ["a", "b", "c"]
        ).owners(key, 2)
    assert remuda.is_sendable(cities)
    with pytest.raises(ValueError, match="twice"):
        cities.add(agents[1])
    del cities
    for agent in agents:
        agent.send_nowait(None)


def test_it_is_a_collection() -> None:
    """A map has a length, its shards, equality, and a copy by pickle that finds the same."""
    cities = golden_map()
    assert len(cities) == 5
    assert list(cities) == ["a", "b", "c", "d", "e"]
    assert "a" in cities
    assert "z" not in cities
    assert 1.5 not in cities
    assert cities == golden_map()
    assert cities != ShardMap(["a", "b", "c", "d", "e"], replicas=2)
    assert "5 shards" in repr(cities)
    for other in (pickle.loads(pickle.dumps(cities)), copy.copy(cities)):
        assert other == cities
        assert all(other.owners(key) == cities.owners(key) for key in KEYS[::100])
    with pytest.raises(TypeError):
        hash(cities)


def test_keys_of_different_types_differ() -> None:
    """A text, bytes and a number that look the same are keys of their own."""
    cities = ShardMap(range(1000))
    kinds: list[str | bytes | int] = ["7", b"7", 7]
    assert len({cities[key] for key in kinds}) == 3
    assert len({shard("key", [1, 2, 3]), shard("key", ["1", "2", "3"])}) == 2


@pytest.mark.parametrize("key", [None, 1.5, True, ("a",), bytearray(b"a"), []])
def test_other_keys_are_refused(key: Any) -> None:
    """What is no text, bytes or number, is no key; nor is a bool, which could be meant as either."""
    with pytest.raises(TypeError, match="expected a key to be a str, bytes or int"):
        shard(key, ["a"])
    with pytest.raises(TypeError, match="expected a key"):
        ShardMap(["a"])[key]


def test_lone_surrogates_are_refused() -> None:
    """A text that has no UTF-8 is no key."""
    with pytest.raises(UnicodeEncodeError):
        shard("\ud800", ["a"])


@pytest.mark.parametrize(
    ("shards", "options", "error"),
    [
        ([], {}, ValueError),
        (["a", "a"], {}, ValueError),
        ("abc", {}, TypeError),
        ([1.5], {}, TypeError),
        ([None], {}, TypeError),
        (1, {}, TypeError),
        (["a"], {"weights": [0]}, ValueError),
        (["a"], {"weights": [-1]}, ValueError),
        (["a"], {"weights": [math.nan]}, ValueError),
        (["a"], {"weights": [math.inf]}, ValueError),
        (["a"], {"weights": [1, 2]}, ValueError),
        (["a", "b"], {"weights": {"a": 1}}, ValueError),
        (["a", "b"], {"weights": {"a": 1, "c": 1}}, KeyError),
        (["a"], {"weights": {"a": 1, "b": 1}}, ValueError),
        (["a", "b"], {"weights": [1e6, 1e6]}, ValueError),
        (["a"], {"replicas": 2}, ValueError),
        (["a"], {"replicas": 0}, ValueError),
        (["a"], {"replicas": -1}, ValueError),
        (["a"], {"load_factor": 1}, ValueError),
    ],
)
def test_bad_maps_are_refused(shards: Any, options: Any, error: type[Exception]) -> None:
    """No shard, one twice, a weight that is none, too many replicas: each is an error of its own."""
    with pytest.raises(error):
        ShardMap(shards, **options)


def test_bad_changes_leave_all_as_it_was() -> None:
    """A shard that is there already, or not there, and the last one can't be added or removed."""
    cities = ShardMap(["a", "b"], replicas=2)
    with pytest.raises(ValueError, match="once"):
        cities.add("a")
    with pytest.raises(KeyError):
        cities.remove("c")
    with pytest.raises(ValueError, match="replicas"):
        cities.remove("a")
    with pytest.raises(ValueError, match="weight"):
        cities.add("c", 0)
    for weights in ([10**400, 1], {"a": 10**400, "b": 1}):
        with pytest.raises(ValueError, match="weight <= 1e6, got an int"):
            ShardMap(["a", "b"], weights=weights)
    for count in (-1, 0, 3, 2**64):
        with pytest.raises(ValueError, match="count"):
            cities.owners("key", count)
    for name, refused in [("weight", cities.add), ("count", cities.owners)]:
        with pytest.raises(TypeError, match=f"expected {name} as .*, got bool"):
            refused("c", True)
    for option in ("replicas", "load_factor"):
        with pytest.raises(ValueError, match=f"{option} .*, got an int of 1329 bits"):
            ShardMap(["a"], **{option: 10**400})  # type: ignore[arg-type]
    assert cities == ShardMap(["a", "b"], replicas=2)
    for wrong in ("abc", b"abc"):
        with pytest.raises(TypeError, match="several"):
            shard("key", wrong)
    with pytest.raises(ValueError, match="at least one"):
        shard("key", [])
    makers: tuple[Any, ...] = (lambda shards: shard("key", shards), ShardMap)
    for maker in makers:
        with pytest.raises(TypeError, match="str, bytes or int, got list"):
            maker(["a", []])
        with pytest.raises(TypeError, match="expected an iterable of shards, got NoneType"):
            maker(None)


def test_threads_change_a_map_at_the_same_time() -> None:
    """No shard that a thread adds or removes, and no assignment, is lost to those of other threads."""
    shared: ShardMap[str] = ShardMap(["base"], load_factor=100)
    begin = threading.Barrier(4)
    assigned: list[str] = []

    def change(name: int) -> None:
        begin.wait(20)
        for number in range(10):
            shared.add(f"{name}-{number}")
            assigned.append(shared.assign(f"{name} {number}"))
        for number in range(0, 10, 2):
            shared.remove(f"{name}-{number}")

    threads = [threading.Thread(target=change, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    left = {f"{name}-{number}" for name in range(4) for number in range(1, 10, 2)} | {"base"}
    assert set(shared) == left
    assert shared == ShardMap(left, load_factor=100)
    kept = Counter(name for name in assigned if name in left)
    assert shared.loads() == {name: kept[name] for name in left}


def test_maps_are_equal_if_they_do_the_same() -> None:
    """The order of shards means nothing; their weights, the replicas and the load factor do."""
    assert ShardMap(["a", "b"]) == ShardMap(["b", "a"])
    assert ShardMap(["a", "b"]) != ShardMap(["a", "b"], weights=[1, 2])
    assert ShardMap(["a", "b"]) != ShardMap(["a", "b"], replicas=2)
    assert ShardMap(["a", "b"]) != ShardMap(["a", "b"], load_factor=2)
    assert ShardMap(["a"]) != "a"


def test_what_an_error_shows_may_use_the_map() -> None:
    """The text of an error is made when the map can be used again, by this thread and by others."""

    class City(str):
        def __repr__(self) -> str:
            return f"none of {len(cities)} cities"

    cities: ShardMap[str] = ShardMap(["a", City("b")])
    refused: tuple[Any, ...] = (cities.release, cities.remove, cities.add)
    for change, name in zip(refused, ("c", "c", "b"), strict=True):
        with pytest.raises((KeyError, ValueError), match="none of 2 cities"):
            change(City(name))
    with pytest.raises(ValueError, match="assigned to, got none of 2 cities"):
        cities.release(City("b"))


@testing.deterministic(seed=1)
async def test_a_shard_is_asked() -> None:
    """Requests for a key reach the agent that keeps it, before and after another agent comes."""

    async def keeper(mailbox: remuda.Mailbox[Any]) -> None:
        kept: dict[int, int] = {}
        async for request in mailbox:
            key = request.message
            kept[key] = kept.get(key, 0) + 1
            request.reply(kept[key])

    async with remuda.Runtime() as runtime:
        keepers = ShardMap([runtime.spawn(keeper, name=f"keeper-{n}") for n in range(4)])
        assert [await keepers[key].ask(key) for key in range(40)] == [1] * 40
        part = keepers.add(runtime.spawn(keeper, name="keeper-4"))
        counts = [await keepers[key].ask(key) for key in range(40)]
        assert set(counts) == {1, 2}
        assert 0.1 < part < 0.3
        assert counts.count(1) < 20
