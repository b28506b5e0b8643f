"""Seats for turns: never more than there are, whatever is changed meanwhile."""

from __future__ import annotations

import asyncio

from copilot_nb.named_sessions.seats import Seats


def lined_up(seats: Seats, number: int) -> list[asyncio.Future[None]]:
    """Let so many line up for a seat, in order."""
    return [seats.line_up() for _ in range(number)]


def seated(places: list[asyncio.Future[None]]) -> list[bool]:
    return [place.done() for place in places]


def test_fewer_seats_admit_no_turn_before_enough_have_left() -> None:
    async def play() -> None:
        seats = Seats(3)
        places = lined_up(seats, 4)
        seats.resize(1)
        for place in places[:2]:
            seats.leave(place)
            assert seated(places) == [True, True, True, False]
        seats.leave(places[2])
        assert seated(places) == [True] * 4

    asyncio.run(play())


def test_more_seats_are_taken_at_once_in_order() -> None:
    async def play() -> None:
        seats = Seats(1)
        places = lined_up(seats, 4)
        seats.resize(3)
        assert seated(places) == [True, True, True, False]

    asyncio.run(play())


def test_a_seat_that_is_given_up_goes_to_the_next() -> None:
    async def play() -> None:
        seats = Seats(1)
        places = lined_up(seats, 4)
        places[1].cancel()
        seats.leave(places[0])
        assert [place.cancelled() for place in places] == [False, True, False, False]
        assert seated(places) == [True, True, True, False]
        seats.leave(places[2])  # in the same moment in which it got the seat
        assert seated(places) == [True] * 4

    asyncio.run(play())


def test_who_leaves_the_line_frees_no_seat() -> None:
    async def play() -> None:
        seats = Seats(1)
        places = lined_up(seats, 3)
        seats.leave(places[1])
        places[2].cancel()
        seats.leave(places[2])
        later = seats.line_up()
        assert not later.done()
        seats.leave(places[0])
        assert later.done()

    asyncio.run(play())
