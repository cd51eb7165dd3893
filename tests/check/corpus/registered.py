"""Classes whose objects never change, as the file itself says."""

from dataclasses import dataclass

from remuda import AgentRef, register_immutable, val


@register_immutable
@dataclass
class Point:
    x: int


@dataclass
class Place:
    row: int


register_immutable(Place)


async def registered_by_a_decorator(agent: AgentRef[Point]) -> None:
    await agent.send(Point(1))
    print(val(Point(2)))


async def registered_by_a_call(agent: AgentRef[Place], place: Place) -> None:
    await agent.send(Place(1))
    print(val(place))


def a_list_all_the_same() -> object:
    return val([Place(1)])  # expect: RMD109
