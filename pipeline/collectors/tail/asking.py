"""Puts the questions of many files to the ingester, a few at a time.

A subscription is the question and a HELLO the answer.  The ingester keeps few messages
for a subscriber, so that an answer may be lost: then it is asked again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from typing import Final

from pipeline.collectors.link import Link
from pipeline.collectors.tail.followed import Followed, Stage
from pipeline.wire.frame import Acknowledgement, Reply

QUESTIONS_MAX: Final = 16
AGAIN_SECONDS: Final = 2.0


class Asking:
    """Files whose streams are looked for."""

    def __init__(self, link: Link, in_use: Container[bytes]) -> None:
        """`in_use` are the producers of this process, which need no asking."""
        self._link = link
        self._in_use = in_use
        self._waiting: deque[Followed] = deque()
        self._asked: dict[bytes, list[Followed]] = {}
        self._asked_at: dict[bytes, float] = {}

    def add(self, followed: Followed) -> None:
        """Ask for a file that has a probe."""
        followed.stage = Stage.ASKING
        self._waiting.append(followed)

    def forget(self, followed: Followed) -> None:
        """The file is gone."""
        if followed in self._waiting:
            self._waiting.remove(followed)
        for files in self._asked.values():
            if followed in files:
                files.remove(followed)

    def advance(self, now: float) -> list[Followed]:
        """Ask what may be asked now; the files for which all answers are there."""
        done: list[Followed] = []
        while self._waiting and len(self._asked) < QUESTIONS_MAX:
            followed = self._waiting.popleft()
            if self._ask(followed, now):
                done.append(followed)
        for producer, asked_at in self._asked_at.items():
            if now - asked_at >= AGAIN_SECONDS:
                self._asked_at[producer] = now
                self._link.leave(producer)
                self._link.follow(producer)
        return done

    def answer(self, producer: bytes, reply: Acknowledgement) -> None:
        """Take in what came for a producer, if it was asked for."""
        if producer not in self._asked or reply.kind != Reply.HELLO:
            return
        del self._asked_at[producer]
        for followed in self._asked.pop(producer):
            probe = followed.probe
            assert probe is not None
            probe.answer(producer, reply)
            if not probe.waiting:
                self._waiting.append(followed)
        self._link.leave(producer)

    def _ask(self, followed: Followed, now: float) -> bool:
        """Whether there was nothing left to ask."""
        probe = followed.probe
        assert probe is not None
        while questions := probe.questions():
            for producer in questions:
                if producer in self._in_use:
                    probe.answer(producer, None)
                elif producer in self._asked:
                    self._asked[producer].append(followed)
                else:
                    self._asked[producer] = [followed]
                    self._asked_at[producer] = now
                    self._link.follow(producer)
        return probe.is_done
