"""Settings of an account's junk filter and of the flags that come with mailboxes."""

from typing import Annotated

from msgspec import Struct


class JunkFilterParams(Struct, frozen=True, kw_only=True):
    """How words become a probability."""

    Onegrams: Annotated[bool, "Count single words."] = False
    Twograms: Annotated[bool, "Count pairs of words."] = False
    Threegrams: Annotated[bool, "Count triples of words."] = False
    MaxPower: Annotated[
        float,
        "Bound for what a single word can say: its probability stays between this and 1 minus this. 0.01 is a good "
        "value; 0.5 at most.",
    ]
    TopWords: Annotated[int, "How many of the most telling words are taken, from either end. 10 is a good value."]
    IgnoreWords: Annotated[
        float, "Words whose probability is this close to one half say nothing and are left out. 0.1 is a good value."
    ] = 0.0
    RareWords: Annotated[int, "Words that were seen this often or less count less. 1 or 2 are good values."] = 0


class JunkFilterSection(Struct, frozen=True, kw_only=True):
    """The content filter of an account."""

    Threshold: Annotated[
        float, "Probability between 0 and 1 from which a message of an unknown sender is junk. 0.95 is a good value."
    ]
    Params: Annotated[JunkFilterParams, "How words become a probability."]


class JunkFlagsSection(Struct, frozen=True, kw_only=True):
    """Flags that a message gets when it is moved or delivered to a mailbox."""

    Enabled: Annotated[
        bool,
        "Whether moving a message sets or clears its flags $Junk and $NotJunk, which train the filter. For mail "
        "programs that do not set them.",
    ]
    JunkMailboxRegexp: Annotated[str, "Names of mailboxes, in lower case, where messages become junk."] = ""
    NeutralMailboxRegexp: Annotated[str, "Names where messages become neither."] = ""
    NotJunkMailboxRegexp: Annotated[
        str, "Names where messages become not junk. If two of the three are set, the third stands for all other names."
    ] = ""
