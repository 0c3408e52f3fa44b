"""What a column can hold: what others send is held to this before it goes near the database.

A turn carries what many have said. A value that can't even be sent would end it for all of them.
"""

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

#: The next number must fit, too: that is where a range ends.
Bigint: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 2)]
Integer: TypeAlias = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Smallint: TypeAlias = Annotated[int, Meta(ge=-(2**15), le=2**15 - 1)]
#: How many there are, or are wanted.
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**31 - 1)]
#: The next attempt must fit, too.
Attempt: TypeAlias = Annotated[int, Meta(ge=1, le=2**15 - 2)]
#: One of `settlement.SUCCEEDED` and the others.
State: TypeAlias = Annotated[int, Meta(ge=1, le=4)]
Real: TypeAlias = Annotated[float, Meta(ge=-3e38, le=3e38)]
#: PostgreSQL's texts have no character 0.
Text: TypeAlias = Annotated[str, Meta(pattern="^[^\0]*$")]
#: Of a queue or a task; streams and marks have control characters in theirs (`answers.py`).
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\0-\x1f]*$(?!\n)")]
Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
