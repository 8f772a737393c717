"""One object followed with the transformers library, with the calls of `OneObject`."""

import torch
from torch import Tensor
from transformers import Sam2VideoInferenceSession, Sam2VideoModel

from parity.twin import SAM2VideoTwin
from sam2_torch.memory_bank import BACKWARD


class TheirObject:
    """One object in a session of theirs, with the calls of `OneObject`.

    A corrected frame is filed among the prompted ones (`add_all_frames_to_correct_as_cond` of Meta's predictor), for
    which the library has no option: as it files it, the next propagation passes over the correction.
    """

    def __init__(self, twin: Sam2VideoModel, session: Sam2VideoInferenceSession, *, label: int = 1) -> None:
        self.twin, self.session, self.label = twin, session, label
        self.index = self.session.obj_id_to_idx(label)

    @property
    def outputs(self) -> dict[int, dict[str, Tensor]]:
        """By frame."""
        kinds = self.session.output_dict_per_obj[self.index]
        return kinds["non_cond_frame_outputs"] | kinds["cond_frame_outputs"]

    def points(self, frame: int, xy: list[tuple[float, float]], labels: list[int]) -> None:
        """Clicks and box corners, x and y in pixels of the encoded image."""
        self.ask_points(frame, xy, labels)
        self._answer(frame)

    def ask_points(self, frame: int, xy: list[tuple[float, float]], labels: list[int]) -> None:
        """Leave clicks for the next run of that frame."""
        inputs = {"point_coords": torch.tensor([[xy]]), "point_labels": torch.tensor([[labels]])}
        self.session.add_point_inputs(self.index, frame, inputs)
        self.session.obj_with_new_inputs = [self.label]

    def mask(self, frame: int, mask: Tensor) -> None:
        """A mask (1, 1, H, W), 0 or 1."""
        self.session.add_mask_inputs(self.index, frame, mask)
        self.session.obj_with_new_inputs = [self.label]
        self._answer(frame)

    def _answer(self, frame: int) -> None:
        self.twin(self.session, frame_idx=frame)
        kinds = self.session.output_dict_per_obj[self.index]
        if isinstance(self.twin, SAM2VideoTwin) and frame in kinds["non_cond_frame_outputs"]:
            kinds["cond_frame_outputs"][frame] = kinds["non_cond_frame_outputs"].pop(frame)

    def propagate(self, direction: int, *, last: int | None = None) -> None:
        """All objects of the session, from the first prompted frame of all."""
        first = min(t for kinds in self.session.output_dict_per_obj.values() for t in kinds["cond_frame_outputs"])
        count = None if last is None else abs(last - first)
        iterator = self.twin.propagate_in_video_iterator(self.session, first, count, reverse=direction == BACKWARD)
        for _ in iterator:
            pass
