"""Requests that come together are computed together: while one batch is computed, the next one gathers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
MOST = 32
"""Items of a batch."""


class Batches(Generic[Item, Answer]):
    """Gives single items to a function of many, in the order in which they came.

    Args:
        work: Returns an answer for each of some items.
        executor: Where it runs, one batch at a time.
        most: Most items of a batch.
    """

    def __init__(self, work: Callable[[list[Item]], list[Answer]], executor: Executor, *, most: int = MOST) -> None:
        self._work, self._executor, self._most = work, executor, most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._running: asyncio.Task[None] | None = None

    async def answer(self, item: Item) -> Answer:
        """Return the answer for one item, or raise what the function raised for its batch."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            some, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                answers = await loop.run_in_executor(self._executor, self._work, [item for item, _ in some])
            except Exception as error:  # each of those who asked is told; the next batch goes on
                for _, future in some:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), answer in zip(some, answers, strict=True):
                if not future.done():  # whoever asked may have gone
                    future.set_result(answer)
