"""What the widget is told of a session that others change."""

from napari_sam2.widget.change_log import ChangeLog
from toy_scene import FAST, STILL, click, run


def test_an_approval_repaints_the_frames_where_masks_overlap_and_no_others(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, STILL), click(0, 3, FAST))
    for object_id in (1, 2, 3):
        run(session, object_ids=[object_id], last=5)
    log = ChangeLog(lambda: None)
    log.open(session)
    for edit in (session.approve, session.disapprove):
        edit(2, [3, 4])
        edit(3)
        changes, repainted = log.take()
        assert changes == {2: {3, 4}, 3: {*range(6)}}
        assert repainted == {2: {3, 4}}


def test_an_approval_that_changes_no_label_repaints_nothing(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, STILL))
    for object_id in (1, 2):
        run(session, object_ids=[object_id], last=5)
    log = ChangeLog(lambda: None)
    log.open(session)
    before = session.labels(3)
    session.approve(1)
    session.approve(2)
    assert log.take()[1] == {}
    assert (session.labels(3) == before).all()
    session.disapprove(1)
    assert log.take()[1] == {1: {*range(6)}}
    assert (session.labels(3) != before).any()


def test_approvals_that_change_places_in_one_step_are_repainted(session):
    session.add_prompts(click(0, 1, STILL), click(0, 2, STILL))
    for object_id in (1, 2):
        run(session, object_ids=[object_id], last=5)
    session.approve(2)
    log = ChangeLog(lambda: None)
    log.open(session)
    before = session.labels(3)
    with session.one_step():
        session.disapprove(2)
        session.approve(1)
    assert (session.labels(3) != before).any()
    assert {t for frames in log.take()[1].values() for t in frames} == {*range(6)}
