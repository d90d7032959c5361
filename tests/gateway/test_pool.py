"""The pool of query workers, with real processes that misbehave on request."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from pipeline.gateway.errors import (
    BUSY,
    INVALID_PARAMS,
    TIME_LIMIT,
    WORKER_LOST,
    RpcError,
)
from pipeline.gateway.pool import Pool
from pipeline.query.requests import QueryRequest

WORKER = [sys.executable, str(Path(__file__).with_name("odd_worker.py"))]


@asynccontextmanager
async def pool_of(workers=1, queue_max=4, seconds=30.0, command=WORKER):
    """A running pool; it is closed at the end."""
    pool = Pool(command, os.environ, workers, queue_max, seconds, lambda: 1)
    pool.start()
    try:
        yield pool
    finally:
        await pool.close()


def ask(pool, q):
    """A question of the stand-in."""
    return asyncio.ensure_future(pool.ask("query", QueryRequest(q=q)))


async def until(condition):
    """Wait for something that is sure to come; the test's time-out ends it else."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the pool tells nobody
            await asyncio.sleep(0.005)


async def error_of(task):
    """The error that a question ends with."""
    with pytest.raises(RpcError) as caught:
        await task
    return caught.value


def run(test):
    """Run a coroutine; nothing takes a minute."""
    return asyncio.run(asyncio.wait_for(test, 60))


def test_an_answer_is_passed_on_as_text():
    """Undecoded, however big."""

    async def test():
        async with pool_of() as pool:
            answer = await ask(pool, "echo:3000000")
            assert f'"{pool.pids[0]}'.encode() in answer
            assert len(answer) > 3_000_000
            assert pool.counters.answered == 1

    run(test())


def test_questions_go_to_workers_that_are_free():
    """Two at once, the third waits."""

    async def test():
        async with pool_of(workers=2) as pool:
            slow = [ask(pool, "slow"), ask(pool, "slow"), ask(pool, "echo")]
            await until(lambda: pool.active == 2)
            assert pool.waiting == 1
            slow[0].cancel()
            await slow[2]
            slow[1].cancel()

    run(test())


def test_long_questions_leave_a_worker_for_short_ones():
    """Once one was long, its like wait; other questions pass them."""

    async def test():
        async with pool_of(workers=2) as pool:
            await until(lambda: pool.ready == 2)
            pool.learn("query", QueryRequest(q="slow"), 1.0)
            slow = [ask(pool, "slow"), ask(pool, "slow")]
            await until(lambda: pool.active == pool.waiting == 1)
            await ask(pool, "echo:1")
            assert pool.counters.held_back == pool.waiting == 1
            for task in slow:
                task.cancel()

    run(test())


def test_held_questions_follow_when_a_long_one_is_done():
    """In the order in which they were asked."""

    async def test():
        async with pool_of(workers=2) as pool:
            await until(lambda: pool.ready == 2)
            pool.learn("query", QueryRequest(q="slow"), 1.0)
            slow = [ask(pool, "slow"), ask(pool, "slow"), ask(pool, "slow")]
            for left in (2, 1, 0):
                await until(lambda left=left: pool.waiting == left)
                assert pool.active == 1
                slow[2 - left].cancel()
            await until(lambda: pool.active == 0)

    run(test())


def test_held_questions_follow_when_a_worker_dies():
    """At once, on the one that is left, which is kept for none then."""

    async def test():
        async with pool_of(workers=2) as pool:
            await until(lambda: pool.ready == 2)
            pool.learn("query", QueryRequest(q="die"), 1.0)
            pool.learn("query", QueryRequest(q="slow"), 1.0)
            dead, slow = ask(pool, "die"), ask(pool, "slow")
            assert (await error_of(dead)).code == WORKER_LOST
            await until(lambda: pool.active == 1)
            assert pool.counters.restarts == pool.waiting == 0
            slow.cancel()

    run(test())


def test_an_only_worker_is_kept_for_none():
    """Long questions have to be answered too."""

    async def test():
        async with pool_of(workers=1) as pool:
            pool.learn("query", QueryRequest(q="echo"), 1.0)
            await asyncio.gather(ask(pool, "echo"), ask(pool, "echo"))
            assert pool.counters.answered == 2

    run(test())


def test_a_question_that_cannot_be_sent_takes_no_worker():
    """It is refused, and the only worker answers the next one."""

    async def test():
        async with pool_of() as pool:
            await pool.wait_ready(20)
            for _ in range(3):
                asked = pool.ask("query", QueryRequest(since=1 << 64))
                error = await error_of(asyncio.ensure_future(asked))
                assert error.code == INVALID_PARAMS
                assert error.data["field"] == "since"
            assert (pool.active, pool.waiting) == (0, 0)
            assert await ask(pool, "echo:1")

    run(test())


def test_beyond_the_queue_it_is_busy():
    """With the time after which to ask again."""

    async def test():
        async with pool_of(queue_max=1) as pool:
            tasks = [ask(pool, "slow")]
            await until(lambda: pool.active == 1)
            tasks.append(ask(pool, "slow"))
            await until(lambda: pool.waiting == 1)
            error = await error_of(ask(pool, "echo"))
            assert error.code == BUSY
            assert error.data["retry_after_ms"] > 0
            for task in tasks:
                task.cancel()

    run(test())


def test_a_cancelled_question_stops_its_worker():
    """The same process answers the next one."""

    async def test():
        async with pool_of() as pool:
            task = ask(pool, "slow")
            await until(lambda: pool.active == 1)
            before = pool.pids
            task.cancel()
            answer = await ask(pool, "echo")
            assert str(before[0]) in answer.decode()
            assert pool.counters.cancelled == 1
            assert pool.counters.killed == 0

    run(test())


def test_a_question_that_waits_is_cancelled_without_a_worker():
    """It is never asked."""

    async def test():
        async with pool_of() as pool:
            tasks = [ask(pool, "slow"), ask(pool, "die")]
            await until(lambda: pool.active == pool.waiting == 1)
            tasks[1].cancel()
            await until(lambda: pool.waiting == 0)
            tasks[0].cancel()
            await ask(pool, "echo")
            assert pool.counters.restarts == 0

    run(test())


def test_a_worker_that_is_deaf_to_cancelling_is_replaced():
    """After a second."""

    async def test():
        async with pool_of() as pool:
            task = ask(pool, "hang")
            await until(lambda: pool.active == 1)
            before = pool.pids
            task.cancel()
            answer = await ask(pool, "echo")
            assert str(before[0]) not in answer.decode()
            assert pool.counters.killed == 1

    run(test())


def test_a_worker_that_misses_the_time_limit_is_replaced():
    """It should have stopped by itself."""

    async def test():
        async with pool_of(seconds=0.5) as pool:
            await until(lambda: pool.ready == 1)
            error = await error_of(ask(pool, "hang"))
            assert error.code == TIME_LIMIT
            await until(lambda: pool.ready == 1)

    run(test())


def test_a_worker_has_time_to_start_whatever_a_question_has():
    """One that loads for longer than any question may take isn't killed for it."""
    late = "import runpy, sys, time; time.sleep(1.5); runpy.run_path(sys.argv[1])"

    async def test():
        command = [WORKER[0], "-c", late, WORKER[1]]
        async with pool_of(seconds=0.001, command=command) as pool:
            await until(lambda: pool.ready == 1)
            assert pool.counters.killed == pool.counters.restarts == 0

    run(test())


@pytest.mark.parametrize("q", ["die", "garbage"])
def test_a_worker_that_dies_fails_only_its_question(q):
    """The next one is answered by its successor."""

    async def test():
        async with pool_of() as pool:
            failing, waiting = ask(pool, q), ask(pool, "echo")
            error = await error_of(failing)
            assert error.code == WORKER_LOST
            assert error.data["retry_after_ms"] > 0
            await waiting
            assert pool.counters.restarts == 1

    run(test())


def test_a_worker_s_refusal_is_the_caller_s():
    """Code, message and data as they are."""

    async def test():
        async with pool_of() as pool:
            error = await error_of(ask(pool, "refuse"))
            assert error.code == INVALID_PARAMS
            assert error.data == {"problem": "so it is"}

    run(test())


def test_without_a_worker_a_question_is_given_up_in_time():
    """The program can't be started: callers hear that it is busy."""

    async def test():
        async with pool_of(seconds=0.2, command=["/nonexistent"]) as pool:
            error = await error_of(ask(pool, "echo"))
            assert error.code == BUSY
            assert pool.ready == 0

    run(test())


def test_closing_ends_the_workers_and_those_who_wait():
    """No process is left."""

    async def test():
        async with pool_of() as pool:
            running = ask(pool, "slow")
            await until(lambda: pool.active == 1)
            waiting = ask(pool, "echo")
            await until(lambda: pool.waiting == 1)
            (pid,) = pool.pids
            await pool.close()
            assert (await error_of(waiting)).code == BUSY
            assert (await error_of(running)).code == WORKER_LOST
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    run(test())


def test_answers_are_json():
    """As the reply splices them in."""

    async def test():
        async with pool_of() as pool:
            assert int(msgspec.json.decode(await ask(pool, "echo"))) == pool.pids[0]

    run(test())
