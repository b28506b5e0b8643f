"""Seats for turns: never more than there are, whatever is changed meanwhile."""

from __future__ import annotations

import asyncio

from copilot_nb.named_sessions.seats import Seats


async def waiting(seats: Seats, number: int) -> list[asyncio.Task[None]]:
    """Let so many wait for a seat, in order; return once those that find one have it."""
    tasks = [asyncio.create_task(seats.take()) for _ in range(number)]
    await settled()
    return tasks


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def seated(tasks: list[asyncio.Task[None]]) -> list[bool]:
    return [task.done() for task in tasks]


def test_fewer_seats_admit_no_turn_before_enough_have_left() -> None:
    async def play() -> None:
        seats = Seats(3)
        tasks = await waiting(seats, 4)
        seats.resize(1)
        for _ in range(2):
            seats.leave()
            await settled()
            assert seated(tasks) == [True, True, True, False]
        seats.leave()
        await settled()
        assert seated(tasks) == [True] * 4

    asyncio.run(play())


def test_more_seats_are_taken_at_once_in_order() -> None:
    async def play() -> None:
        seats = Seats(1)
        tasks = await waiting(seats, 4)
        seats.resize(3)
        await settled()
        assert seated(tasks) == [True, True, True, False]
        tasks[3].cancel()

    asyncio.run(play())


def test_a_seat_that_is_given_up_goes_to_the_next() -> None:
    async def play() -> None:
        seats = Seats(1)
        tasks = await waiting(seats, 4)
        tasks[1].cancel()
        seats.leave()
        tasks[2].cancel()  # in the same moment in which it gets the seat
        await settled()
        assert [task.cancelled() for task in tasks] == [False, True, True, False]
        assert tasks[3].done()

    asyncio.run(play())
