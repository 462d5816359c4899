"""The transducer's head: the joint networks by their formulas, one step at a time as all at once, and padding that never shows."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from recognizer.config import Transducer
from recognizer.models.heads import build_head
from recognizer.models.network import label_axis
from recognizer.models.transducer import FRAME_OUTPUT, TransducerHead

SMALL = Transducer(joint_size=6, embedding_size=3, prediction_size=5)
JOINTS = ("additive", "tanh")
DIM, LABELS = 7, 4


def make_head(joint: str, **changes: float) -> TransducerHead:
    torch.manual_seed(1)
    head = build_head(replace(SMALL, joint=joint, **changes), DIM, LABELS)
    assert isinstance(head, TransducerHead)
    return head.double().eval()


def test_the_additive_joint_is_the_normalized_product_of_exponentials() -> None:
    head = make_head("additive")
    frames, predicted = head.decoder_input(torch.randn(1, 3, DIM).double()), head.predict(torch.tensor([[2, 1]]))
    found = head.join(frames[:, :, None], predicted[:, None]).softmax(dim=-1)
    assert found.shape == (1, 3, 3, LABELS) and head.dim == LABELS
    for t in range(3):
        for u in range(3):
            h = torch.exp(frames[0, t] + predicted[0, u])  # Graves 2012, equation 12
            torch.testing.assert_close(found[0, t, u], h / h.sum())


def test_the_tanh_joint_is_a_hidden_layer_over_both() -> None:
    head = make_head("tanh")
    outputs, labels = torch.randn(1, 3, DIM).double(), torch.tensor([[2, 1]])
    found = head.join(head.decoder_input(outputs)[:, :, None], head.predict(labels)[:, None])
    read, layers = head.read(labels), head.joint
    hidden = torch.tanh(layers["frame_hidden"](outputs)[:, :, None] + layers["label_hidden"](read)[:, None])
    torch.testing.assert_close(found, layers["output"](hidden))
    assert head.dim == 6 and head.joint_width == 6


@pytest.mark.parametrize("joint", JOINTS)
def test_steps_give_what_whole_texts_give(joint: str) -> None:
    head, labels = make_head(joint), torch.tensor([[3, 1, 1, 2], [2, 2, 3, 1]])
    whole = head.predict(labels)
    found, state = head.step(torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(found, whole[:, 0])
    for u in range(4):
        found, state = head.step(labels[:, u], state)
        torch.testing.assert_close(found, whole[:, u + 1])


@pytest.mark.parametrize("joint", JOINTS)
def test_neither_padding_nor_later_labels_show(joint: str) -> None:
    head, texts = make_head(joint), [[1, 2, 3], [2], []]
    alone = [head.predict(torch.tensor([text], dtype=torch.long))[0] for text in texts]
    for padding in (0, 3):
        rows = torch.tensor([text + [padding] * (4 - len(text)) for text in texts])
        for row, own in zip(head.predict(rows), alone, strict=True):
            torch.testing.assert_close(row[: len(own)], own)
    frames = torch.randn(2, 5, DIM).double()
    torch.testing.assert_close(head.decoder_input(frames)[1:, :2], head.decoder_input(frames[1:, :2]))


def test_what_comes_out_is_float32_in_any_precision() -> None:
    head = make_head("tanh").float()
    frames, labels = torch.randn(2, 5, DIM), torch.tensor([[1, 2]])
    with torch.autocast("cpu", torch.bfloat16):
        projected, predicted = head.decoder_input(frames.bfloat16()), head.predict(labels)
    assert projected.dtype == predicted.dtype == torch.float32
    torch.testing.assert_close(predicted, head.predict(labels))
    torch.testing.assert_close(projected, head.decoder_input(frames.bfloat16().float()))


def test_dropout_is_drawn_in_training_only() -> None:
    head, labels = make_head("tanh", dropout=0.5), torch.tensor([[1, 2, 3]])
    assert torch.equal(head.predict(labels), head.predict(labels))
    head.train()
    assert not torch.equal(head.predict(labels), head.predict(labels))


@pytest.mark.parametrize("joint", JOINTS)
def test_weights_with_a_row_a_label_are_known_by_their_names(joint: str) -> None:
    names = {name: weight.shape[0] for name, weight in make_head(joint).named_parameters(prefix="head")}
    by_label = {name for name in names if label_axis(name) == 0}
    expected = {"head.embedding.weight"} | {name for name in names if "output" in name}
    assert by_label == expected and all(names[name] == LABELS for name in by_label)
    assert (joint == "additive") == (FRAME_OUTPUT + "weight" in names)
