"""Starting the event loop: uvloop where it exists."""

import asyncio
import gc
from collections.abc import Coroutine

# Objects made and not yet released before the collector looks at the young ones.
GC_ALLOCATIONS = 20_000


def run_loop(main: Coroutine[object, object, None]) -> None:
    """Run `main` to its end on a new loop."""
    # What is loaded stays; and mail makes much garbage that is no cycle, for which the defaults collect too often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_ALLOCATIONS, 20, 20)
    try:
        import uvloop
    except ImportError:  # uvloop has no Windows build
        asyncio.run(main)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main)
