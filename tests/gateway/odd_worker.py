"""A query worker's stand-in that misbehaves as its questions tell it to.

`q` of the question is what it does: echo, die, hang (deaf to cancelling), slow (until
cancelled), garbage, refuse. It speaks the frames of `pipeline/gateway/process.py`.
"""

from __future__ import annotations

import os
import struct
import sys
import threading

import msgpack

cancelled = threading.Event()
questions: list[dict] = []
arrived = threading.Condition()


def send(message):
    """One frame."""
    body = msgpack.packb(message)
    sys.stdout.buffer.write(struct.pack("<I", len(body)) + body)
    sys.stdout.buffer.flush()


def receive():
    """Questions and cancels, until the end of the input."""
    while head := sys.stdin.buffer.read(4):
        message = msgpack.unpackb(sys.stdin.buffer.read(struct.unpack("<I", head)[0]))
        with arrived:
            if "cancel" in message:
                cancelled.set()
            else:
                questions.append(message)
            arrived.notify()
    os._exit(0)


def error(identity, code):
    """An answer that is none."""
    text = {"code": code, "message": "no", "data": {"problem": "so it is"}}
    send({"id": identity, "error": text})


def answer(question):
    """Do as `q` says."""
    identity, q = question["id"], question["params"].get("q") or "echo"
    if q == "die":
        os._exit(3)
    if q == "garbage":
        sys.stdout.buffer.write(b"\xff" * 64)
        sys.stdout.buffer.flush()
        threading.Event().wait()
    if q == "hang":
        threading.Event().wait()
    if q == "slow":
        cancelled.wait()
        cancelled.clear()
        error(identity, -32004)
    elif q in ("endless", "cut") and not (q == "cut" and question["params"]["cursor"]):
        lines = b'{\\"message\\":\\"' + b"x" * 1000 + b'\\"}\\n'
        text = b'{"text":"%b","rows":1000,"next_cursor":"c"}' % (lines * 1000)
        send({"id": identity, "result": text})
    elif q in ("refuse", "cut"):
        error(identity, -32602)
    else:
        size = int(q.partition(":")[2] or 0)
        send({"id": identity, "result": b'"%d%s"' % (os.getpid(), b"." * size)})


threading.Thread(target=receive, daemon=True).start()
while True:
    with arrived:
        while not questions:
            arrived.wait()
        following = questions.pop(0)
    answer(following)
