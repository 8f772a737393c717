"""The controls of the dock widget: what is where and what it is called, without any behavior."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_sam2.prompts import MAX_OBJECT_ID
from napari_sam2.settings import EverythingSettings, help_of
from napari_sam2.sweeps import Direction
from napari_sam2.widget.advanced_form import AdvancedForm
from napari_sam2.widget.answers import PropagationRequest
from napari_sam2.widget.cleaning_form import CleaningForm
from napari_sam2.widget.input_choice import InputChoiceBox
from napari_sam2.widget.key_captions import KeyCaptions
from napari_sam2.widget.keys_list import KeysList
from napari_sam2.widget.labels_choice import LabelsChoice
from napari_sam2.widget.model_choice import ModelChoice
from napari_sam2.widget.object_panel import ObjectPanel
from napari_sam2.widget.parts import folded, group, row, wrapped
from napari_sam2.widget.preferences import Preferences
from napari_sam2.widget.review_form import ReviewForm
from napari_sam2.widget.saved_line import SavedLine
from napari_sam2.widget.undo_line import UndoLine

if TYPE_CHECKING:
    from napari_sam2.session_setup import SessionSetup
    from napari_sam2.widget.job_desk import JobDesk

WHOLE_MOVIE: dict[str, Direction] = {"Forward": "forward", "Backward": "backward", "Both ways": "both"}
TO_FRAME = "To frame"
NEXT_FRAMES = "Next frames"
CHANGES = "Changes only"
_DIRECTION_TIPS = {
    "Forward": "to the end of the movie, from each object's first click",
    "Backward": "to the start of the movie, from each object's last click",
    "Both ways": "to the end and to the start of the movie",
    TO_FRAME: "from the frame on screen to the frame given here",
    NEXT_FRAMES: "from the frame on screen so many frames on",
    CHANGES: "from each correction both ways, as far as it changes anything; other objects stay as they are",
}
ALL_OBJECTS, SELECTED_OBJECTS = "All objects", "Selected objects"
HINT = "Click on a cell: the left button says that it belongs to the object, the right button that it does not."
HINT_NO_MOVIE = "Choose a movie: an image layer with the axes (T, Y, X), or (T, Y, X, 3) in color."
HINT_CHOOSE = "This image has more axes than a movie: choose under 'Input' what to track in."
_TIP_PAUSE = "Wait after the frame being worked on; press again to go on"
_TIP_STOPPED = "Go on where propagation was stopped: first carry corrections on, then go through the rest of the frames"
_MAX_SPIN = min(MAX_OBJECT_ID, 2**31 - 1)


class TrackerForm(QWidget):
    """The controls. They fit into 260 pixels and need not more than 400."""

    def __init__(
        self,
        parent: QWidget,
        *,
        image_choices: Callable[[Any], Sequence[Any]],
        labels_choices: Callable[[Any], Sequence[Any]],
        model: ModelChoice,
        objects: ObjectPanel,
        captions: KeyCaptions,
        preferences: Preferences,
    ) -> None:
        super().__init__(parent)
        self.setMinimumWidth(260)
        self._captions = captions
        # Nullable, so that nothing else is chosen by itself when the layer chosen goes.
        self.image = ComboBox(choices=image_choices, nullable=True, label="Movie")
        self.saved = SavedLine()
        self.input = InputChoiceBox()
        self.labels = LabelsChoice(labels_choices)
        self.model = model
        self.diameter = QSpinBox()
        self.diameter.setRange(0, 10_000)
        self.diameter.setSuffix(" px")
        self.show_measured(None)
        self.diameter.setToolTip("Typical diameter of a cell in pixels; 0 lets the plugin find it out")

        self.object_id = QSpinBox()
        self.object_id.setRange(1, _MAX_SPIN)
        self.object_id.setToolTip("The object that clicks are about; its mask has this number as label")
        self.swatch = QLabel()
        self.swatch.setFixedSize(18, 18)
        self.new_object = captions.button("New object", "new_object")
        self.new_object.setToolTip("The next clicks are about another object, which has none yet")
        self.polarity = QPushButton()
        self.polarity.setCheckable(True)
        self.polarity.setToolTip("What a left click says; a right click always says that it does not belong")
        self.hint = wrapped(HINT_NO_MOVIE)
        self.box = QPushButton("Box")
        self.box.setToolTip("Draw a rectangle around the object; it says where the object is, as a click does")
        self.outline = QPushButton("Outline")
        self.outline.setToolTip("Draw around the object with the button held down; what is inside is its mask")
        self.everything = QPushButton("Segment everything here")
        self.everything.setToolTip("Find all cells on the frame on screen that have no mask yet, without clicks")
        self.quality = _quality_box()

        self.direction = QComboBox()
        for index, (name, tip) in enumerate(_DIRECTION_TIPS.items()):
            self.direction.addItem(name)
            self.direction.setItemData(index, tip, Qt.ItemDataRole.ToolTipRole)
        self.frame = QSpinBox()
        self.frame.setToolTip("The frame to propagate to, counted from 0 like on the slider")
        self.count = QSpinBox()
        self.count.setRange(1, 1_000_000)
        self.count.setValue(10)
        self.count.setToolTip("How many frames to propagate to, after the one on screen")
        self.whose = QComboBox()
        self.whose.addItems([ALL_OBJECTS, SELECTED_OBJECTS])
        self.whose.setToolTip("Which objects to propagate: all of them, or those selected in the list below")
        self.direction.currentTextChanged.connect(self._show_direction)
        self._show_direction(self.direction.currentText())
        self.pause = QPushButton("Pause")
        self.propagate = captions.button("Propagate", "propagate")
        self.propagate.setToolTip("Follow the objects through the frames chosen above")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop after the frame being worked on; what is done stays")
        self.follow = QCheckBox("Show each frame as it is done")
        self.follow.setChecked(preferences.follow)
        self.follow.setToolTip("Move the time slider along, until somebody else moves it")
        self.progress = QProgressBar()
        self.status = wrapped("")

        self.undo_line = UndoLine(captions)
        self.objects = objects
        self.cleaning = CleaningForm()
        self.advanced = AdvancedForm(preferences.precision, ahead=preferences.ahead)
        self.keys_list = KeysList(preferences.keys)
        self.review = ReviewForm(captions)
        self._lay_out()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        top = QFormLayout()
        top.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        top.addRow("Movie", self.image.native)
        top.addRow("", self.saved)
        top.addRow("Model", self.model)
        top.addRow("Cell diameter", self.diameter)
        layout.addLayout(top)
        layout.addWidget(self.input)
        layout.addWidget(
            group(
                "Clicks",
                row(self.object_id, self.swatch, self.new_object),
                self.polarity,
                self.hint,
                row(self.box, self.outline),
            )
        )
        layout.addWidget(
            group(
                "Propagation",
                row(self.direction, self.frame, self.count),
                self.whose,
                row(self.propagate, self.pause, self.cancel),
                self.follow,
                self.progress,
                self.status,
            )
        )
        layout.addWidget(self.undo_line)
        layout.addWidget(self.review)
        self.folds = {
            "Objects": folded("Objects", self.objects, opened=True),
            "Cells without clicks": folded("Cells without clicks", row(self.everything, self.quality), self.labels),
            "Masks": folded("Tidying masks up", self.cleaning),
            "Advanced": folded("Advanced settings", self.advanced),
            "Keys": folded("Keys", self.keys_list),
        }
        for fold in self.folds.values():
            layout.addWidget(fold)
        layout.addStretch(1)

    def show_image(self, image: Any) -> None:
        """List the layers anew and show which image is worked on; emits nothing."""
        self.labels.show_layers()
        with self.image.changed.blocked():
            self.image.reset_choices()
            self.image.value = image if image in self.image.choices else None

    def show_preferences(self, preferences: Preferences, before: Preferences) -> None:
        """Show what was chosen in napari's preferences, but for what belongs to the setup of a session."""
        self._captions.show_keys(preferences.keys)
        self.keys_list.show_keys(preferences.keys)
        if preferences.follow != before.follow:
            self.follow.setChecked(preferences.follow)
        if preferences.ahead != before.ahead:
            self.advanced.ahead.setChecked(preferences.ahead)

    def show_setup(self, setup: "SessionSetup") -> None:
        """Show with what a session is opened, the diameter in whole pixels; emits nothing."""
        with QSignalBlocker(self.diameter):
            self.diameter.setValue(round(setup.diameter or 0))
        self.advanced.show_setup(setup)

    def show_object_color(self, rgba: Sequence[float] | None) -> None:
        """Show the color that the current object has in the masks; none if it is not known."""
        color = "transparent" if rgba is None else "rgb({:.0f}, {:.0f}, {:.0f})".format(*(255 * c for c in rgba[:3]))
        self.swatch.setStyleSheet(f"background-color: {color}; border: 1px solid gray; border-radius: 3px;")

    def show_polarity(self, *, positive: bool) -> None:
        """Show what a left click says."""
        self.polarity.setChecked(not positive)
        words = "positive" if positive else "negative"
        self._captions.put(self.polarity, f"Left click: {words}", "polarity")
        color = "limegreen" if positive else "red"
        self.polarity.setStyleSheet(f"QPushButton {{ border-left: 6px solid {color}; }}")

    @property
    def starts_here(self) -> bool:
        """Whether the run that is asked for begins with the frame on screen."""
        return self.direction.currentText() in (TO_FRAME, NEXT_FRAMES)

    def request(self, here: int) -> PropagationRequest:
        """The run that is asked for while the frame `here` is on screen."""
        direction = self.direction.currentText()
        ids = tuple(self.objects.selected_objects()) if self.whose.currentText() == SELECTED_OBJECTS else None
        if direction in (*WHOLE_MOVIE, CHANGES):
            return PropagationRequest(WHOLE_MOVIE.get(direction), object_ids=ids)
        there = here + self.count.value() if direction == NEXT_FRAMES else self.frame.value()
        way: Direction = "forward" if there >= here else "backward"
        return PropagationRequest(way, min(here, there), max(here, there), ids)

    def _show_direction(self, direction: str) -> None:
        self.count.setVisible(direction == NEXT_FRAMES)
        self.frame.setVisible(direction == TO_FRAME)

    def show_status(self, text: str) -> None:
        """Show what goes on."""
        self.status.setText(text)

    def show_progress(self, done: int, total: int) -> None:
        """Show how far a run has come."""
        # Else Qt paints it at once, and the whole window with it.
        self.progress.setUpdatesEnabled(False)
        self.progress.setMaximum(max(total, 1))
        self.progress.setValue(done)
        self.progress.setUpdatesEnabled(True)

    def show_measured(self, diameter: float | None) -> None:
        """Show at which diameter (pixels) objects are looked at if none is given."""
        self.diameter.setSpecialValueText("automatic" if diameter is None else f"automatic, {diameter:.0f} px")

    def show_state(self, desk: "JobDesk | None") -> None:
        """Enable what makes sense now; without a desk there is no movie."""
        state, has_session = "idle" if desk is None else desk.state, desk is not None
        idle, is_paused = desk is None or desk.can_edit, desk is not None and desk.is_paused
        for control in (self.new_object, self.polarity, self.object_id, self.box, self.outline):
            control.setEnabled(has_session)
        self.propagate.setEnabled(has_session and idle)
        can_search = desk is not None and desk.can_search
        self.everything.setEnabled(can_search)
        self.labels.setEnabled(can_search)
        self.cancel.setEnabled(is_paused or state not in ("idle", "editing", "showing", "stopping"))
        is_stopped = idle and desk is not None and (is_paused or desk.can_resume)
        self.pause.setEnabled(state == "propagating" or is_stopped)
        self.pause.setText("Resume" if is_stopped else "Pause")
        self.pause.setToolTip(_TIP_STOPPED if is_stopped else _TIP_PAUSE)
        if state == "segmenting":
            # No length to show: a bar that moves.
            self.progress.setMaximum(0)
        elif self.progress.maximum() == 0:
            self.show_progress(0, 1)


def _quality_box() -> QDoubleSpinBox:
    box = QDoubleSpinBox()
    box.setRange(0, 1)
    box.setSingleStep(0.05)
    box.setValue(EverythingSettings().quality)
    box.setToolTip(help_of(EverythingSettings, "quality"))
    return box
