"""The parents of a job, as its task sees them."""

from typing import Any

import msgspec


class ParentJob(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A job that the running one has waited for."""

    id: int
    #: "succeeded"; also "failed", "cancelled" or "expired", where that was allowed. None if it is
    #: known no more.
    state: str | None
    _result: msgspec.Raw = msgspec.Raw()

    @property
    def result(self) -> Any:
        """What its task returned, as JSON has it: None if it returned nothing, or did not succeed.

        Raises LookupError if the parents' results were too large to come with the job.
        """
        if not bytes(self._result):
            raise LookupError(
                "the results of this job's parents take more than 256 KiB and did not come with "
                f"it: ask for this one by app.job({self.id}).result(timeout=0)"
            )
        return msgspec.json.decode(self._result)


read_parents = msgspec.json.Decoder(list[ParentJob]).decode
