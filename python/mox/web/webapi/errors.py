"""What a method refuses with: status 400, a code for programs, a text for people."""

from mox.webapi.types import Code


class ApiError(Exception):
    """`code` is a Code of the webapi."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def user_error(context: str, reason: object) -> ApiError:
    """A mistake of the caller, in mox's form `<context>: <reason>`."""
    return ApiError(Code.USER, f"{context}: {reason}")
