"""Starting the event loop: uvloop where it exists."""

import asyncio
from collections.abc import Coroutine


def run_loop(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end on a new loop."""
    try:
        import uvloop
    except ImportError:  # uvloop has no Windows build
        asyncio.run(main)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
