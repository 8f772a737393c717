"""Where an object was tracked, and from what."""

from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.trail import Trail


def test_a_frame_is_on_the_trail_from_when_it_was_tracked_until_it_is_erased():
    trail = Trail(5)
    assert not any(t in trail for t in range(-1, 6))
    trail.mark(3, 1, [0])
    assert [t for t in range(-1, 6) if t in trail] == [3]
    trail.erase(3)
    assert 3 not in trail


def test_the_last_direction_counts():
    trail = Trail(5)
    trail.mark(3, 1, [0])
    assert trail.came(3, 1)
    assert not trail.came(3, -1)
    trail.mark(3, -1, [0])
    assert trail.came(3, -1)
    assert not any(trail.came(t, step) for t in (-1, 2, 5) for step in (1, -1))


def test_what_was_tracked_from_a_prompt_goes_with_it():
    trail = Trail(8)
    for t in (1, 2):
        trail.mark(t, 1, [0])
    for t in (4, 5):
        trail.mark(t, 1, [0, 3])
    trail.mark(7, -1, [3])
    assert trail.withdraw(3) == [4, 5, 7]
    assert [t for t in range(8) if t in trail] == [1, 2]
    assert trail.withdraw(3) == []
    assert trail.withdraw(0) == [1, 2]


@given(
    marks=st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1, -1]), st.sets(st.integers(0, 9)))),
    withdrawn=st.integers(0, 9),
)
def test_a_trail_is_a_mapping_from_frames_to_origins(marks, withdrawn):
    trail, plain = Trail(10), {}
    for frame, step, prompted in marks:
        trail.mark(frame, step, prompted)
        plain[frame] = step, prompted
    assert all(trail.came(t, step) == (t in plain and plain[t][0] == step) for t in range(10) for step in (1, -1))
    lost = sorted(t for t, (_, prompted) in plain.items() if withdrawn in prompted)
    assert trail.withdraw(withdrawn) == lost
    assert [t for t in range(10) if t in trail] == sorted(set(plain) - set(lost))
