"""Models and their base models."""

from fake_models import MakeModel

from nerbench.artifacts.lineage import lineage
from nerbench.artifacts.manifest import BaseSource, Provenance
from nerbench.artifacts.store import Store


def test_bases_are_followed_by_the_digest_of_their_files(store: Store, make_model: MakeModel) -> None:
    hub = BaseSource(name="org/bert", revision="abc")
    grandparent = store.publish(make_model("g", value=1.0), "old", Provenance(base_model=hub, seed=1))
    second = BaseSource(name="/somewhere/pulled", sha256=grandparent.model_sha256)
    parent = store.publish(make_model("p", value=2.0), "middle", Provenance(base_model=second, seed=2))
    third = BaseSource(name="renamed", sha256=parent.model_sha256)
    child = store.publish(make_model("c", value=3.0), "young", Provenance(base_model=third))
    found = lineage(child, "memory://not-asked")
    assert [(one.name, one.artifact_id, one.revision) for one in found] == [
        ("young", child.artifact_id, None),
        ("middle", parent.artifact_id, None),
        ("old", grandparent.artifact_id, None),
        ("org/bert", None, "abc"),
    ]
    assert [one.manifest.provenance.seed for one in found[1:3] if one.manifest] == [2, 1]


def test_a_model_without_a_base_has_no_lineage(store: Store, make_model: MakeModel) -> None:
    ref = store.publish(make_model(), "toy", Provenance())
    assert [one.artifact_id for one in lineage(ref, store.url)] == [ref.artifact_id]


def test_lineage_ends_at_a_base_that_is_not_in_the_store(store: Store, make_model: MakeModel) -> None:
    base = BaseSource(name="/gone", sha256="0" * 64)
    ref = store.publish(make_model(), "toy", Provenance(base_model=base))
    assert [one.name for one in lineage(ref, store.url)] == ["toy", "/gone"]


def test_a_circle_ends(store: Store, make_model: MakeModel) -> None:
    folder = make_model()
    first = store.publish(folder, "toy", Provenance())
    again = store.publish(folder, "toy", Provenance(base_model=BaseSource(name="itself", sha256=first.model_sha256)))
    (_, *rest) = lineage(again, store.url)
    assert [one.artifact_id for one in rest] == [first.artifact_id]
