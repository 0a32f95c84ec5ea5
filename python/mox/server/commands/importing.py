"""Importing mbox files and maildirs into accounts of the running server, which reads them itself."""

import asyncio
from pathlib import Path

from mox.admin.accounts import need_account
from mox.admin.context import Admin, RequestError
from mox.config.mailbox_names import MailboxNameError, check_mailbox_name
from mox.server.control import Command, Commands, Request
from mox.store.importing import Imports, Source, import_messages, maildir_source, mbox_source


def commands(admin: Admin) -> Commands:
    """importmbox, importmaildir: account, mailbox, path. The answer is the count after each batch, a line each."""

    async def run(request: Request, mailbox: str, source: Source, done: Imports) -> None:
        counts: asyncio.Queue[int | None] = asyncio.Queue()
        account = await admin.store.open(request.parameters[0])

        async def work() -> None:
            try:
                await import_messages(account, source, done, lambda _name, count: counts.put_nowait(count))
            finally:
                counts.put_nowait(None)

        task = asyncio.create_task(work(), name="import")
        try:
            while (count := await counts.get()) is not None:
                await request.print(str(count))
            await task
        finally:
            # A client that goes away ends the import, which takes back what it added.
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        await request.print(*(f"problem: {problem}" for problem in done.problems), f"{done.total} imported")

    def target(request: Request) -> tuple[str, Path]:
        account, mailbox, path = request.parameters
        need_account(admin, account)
        try:
            return check_mailbox_name(mailbox), Path(path)
        except MailboxNameError as err:
            raise RequestError(str(err)) from err

    async def import_mbox(request: Request) -> None:
        mailbox, path = target(request)
        file = await asyncio.to_thread(path.open, "rb")
        try:
            await run(request, mailbox, mbox_source(file, mailbox), Imports())
        finally:
            file.close()

    async def import_maildir(request: Request) -> None:
        mailbox, path = target(request)
        for name in ("new", "cur"):
            if not await asyncio.to_thread((path / name).is_dir):
                raise RequestError(f"{path} is no maildir: it has no directory {name}")
        done = Imports()
        await run(request, mailbox, maildir_source(path, mailbox, done), done)

    return {"importmbox": Command(3, import_mbox), "importmaildir": Command(3, import_maildir)}
