"""Two-dimensional LSTM: equal to its equations place by place, whatever the padding; its encoder: frames, blocks, batches, and that it learns."""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from recognizer.config import LineFeatures, MdLstmFrontend, ModelConfig, RecognizerConfig
from recognizer.models.mdlstm import FEW_COLUMNS, MdLstm, MdLstmEncoder, scan_by_operations
from recognizer.models.network import Network

WIDTHS = torch.tensor([6, 1, 4])
both_forms = pytest.mark.parametrize("stable", [False, True])


def make_layer(stable: bool, inputs: int = 3, hidden: int = 4, dtype: torch.dtype = torch.float64) -> MdLstm:
    torch.manual_seed(1)
    layer = MdLstm(inputs, hidden, stable).double()
    with torch.no_grad():
        for parameter in layer.parameters():  # peepholes and biases that matter
            parameter.normal_(0, 0.7)
    return layer.to(dtype)


def make_maps(dtype: torch.dtype = torch.float64, rows: int = 3, batch: int = 3) -> Tensor:
    maps = torch.randn(batch, rows, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return maps.to(dtype).requires_grad_()


def scan_place_by_place(layer: MdLstm, maps: Tensor, widths: Tensor) -> Tensor:
    """The equations of the class, one place after the other, in each direction's own order: i, f, a, g, o, c, h as (B, R, W, 4, 7, H)."""
    batch, rows, columns, _ = maps.shape
    nothing = maps.new_zeros(layer.hidden)
    seen = [[[[maps.new_zeros(7, layer.hidden)] * 4 for _ in range(columns)] for _ in range(rows)] for _ in range(batch)]
    for b in range(batch):
        for s, (down, right) in enumerate([(True, True), (False, True), (True, False), (False, False)]):
            h, c = {}, {}
            for row in range(rows) if down else reversed(range(rows)):
                for column in range(int(widths[b])) if right else reversed(range(int(widths[b]))):
                    left, up = (row, column - 1 if right else column + 1), (row - 1 if down else row + 1, column)
                    c_left, c_up = c.get(left, nothing), c.get(up, nothing)
                    sums = layer.weight[s] @ torch.cat([maps[b, row, column], h.get(left, nothing), h.get(up, nothing)]) + layer.bias[s]
                    i, f, a, g, o = sums.chunk(5)
                    p_i, p_f, p_a, p_o = layer.peepholes[s]
                    i, f, a = torch.sigmoid(i + p_i * (c_left + c_up)), torch.sigmoid(f + p_f * c_left), torch.sigmoid(a + p_a * c_up)
                    kept = f * (a * c_left + (1 - a) * c_up) if layer.stable else f * c_left + a * c_up
                    new = i * torch.tanh(g) + kept
                    o = torch.sigmoid(o + p_o * new)
                    c[row, column], h[row, column] = new, o * torch.tanh(new)
                    seen[b][row][column][s] = torch.stack([i, f, a, torch.tanh(g), o, new, h[row, column]])
    return torch.stack([torch.stack([torch.stack([torch.stack(place) for place in row]) for row in line]) for line in seen])


def gradients(outputs: Tensor, maps: Tensor, layer: MdLstm) -> tuple[Tensor, ...]:
    weighting = torch.randn(outputs.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).to(outputs)
    return torch.autograd.grad((outputs * weighting).sum(), [maps, *layer.parameters()])


@both_forms
@pytest.mark.parametrize("rows", [1, 3, FEW_COLUMNS // 3 + 1])  # the last has too many places on a diagonal for the product of few columns
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_outputs_and_all_gradients_are_those_of_the_equations(stable: bool, rows: int, dtype: torch.dtype, tolerance: float) -> None:
    layer, maps = make_layer(stable), make_maps(rows=rows)
    expected = scan_place_by_place(layer, maps, WIDTHS)[..., 6, :].flatten(3)
    expected_gradients = gradients(expected, maps, layer)
    layer, maps = make_layer(stable, dtype=dtype), make_maps(dtype, rows)
    outputs = layer(maps, WIDTHS)
    torch.testing.assert_close(outputs.double(), expected, atol=tolerance, rtol=0)
    for found, wanted in zip(gradients(outputs, maps, layer), expected_gradients, strict=True):
        torch.testing.assert_close(found.double(), wanted, atol=10 * tolerance, rtol=10 * tolerance)


@pytest.mark.parametrize("rows", [3, FEW_COLUMNS // 3 + 1])
def test_weights_learn_the_same_where_nobody_asks_for_the_gradient_of_the_maps(rows: int) -> None:
    layer, maps = make_layer(False), make_maps(rows=rows)
    weights = list(layer.parameters())
    expected = torch.autograd.grad(layer(maps, WIDTHS).square().sum(), [*weights, maps])[:-1]
    found = torch.autograd.grad(layer(maps.detach(), WIDTHS).square().sum(), weights)
    for first, second in zip(found, expected, strict=True):
        torch.testing.assert_close(first, second, atol=1e-12, rtol=1e-12)


@both_forms
def test_gradients_are_those_of_finite_differences(stable: bool) -> None:
    layer = make_layer(stable, 2, 2)
    maps = torch.randn(2, 2, 3, 2, dtype=torch.float64, requires_grad=True)

    def scan(maps: Tensor, *weights: Tensor) -> Tensor:
        return torch.func.functional_call(layer, dict(zip(("weight", "bias", "peepholes"), weights, strict=True)), (maps, torch.tensor([3, 2])))

    assert torch.autograd.gradcheck(scan, (maps, *layer.parameters()))


@both_forms
def test_operations_of_torch_give_the_same(stable: bool) -> None:
    layer, maps = make_layer(stable), make_maps()
    outputs = scan_by_operations(maps, WIDTHS, layer.weight, layer.bias, layer.peepholes, stable)
    torch.testing.assert_close(outputs, layer(maps, WIDTHS), atol=1e-12, rtol=0)
    for found, wanted in zip(gradients(outputs, maps, layer), gradients(layer(maps, WIDTHS), maps, layer), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-11, rtol=0)


@both_forms
def test_recorded_gates_and_states_are_those_of_the_equations(stable: bool) -> None:
    layer, maps = make_layer(stable), make_maps()
    seen = layer.record(maps, WIDTHS)
    assert list(seen) == list("ifagoch") and not any(tensor.requires_grad for tensor in seen.values())
    found, expected = torch.stack(list(seen.values()), dim=4), scan_place_by_place(layer, maps, WIDTHS)
    for b, width in enumerate(WIDTHS.tolist()):
        torch.testing.assert_close(found[b, :, :width], expected[b, :, :width].detach(), atol=1e-12, rtol=0)


def test_a_line_alone_is_the_same_as_in_a_padded_batch_whatever_the_padding_holds() -> None:
    layer, maps = make_layer(False), make_maps().detach()
    alone = [layer(maps[b : b + 1, :, :width], torch.tensor([width]))[0] for b, width in enumerate(WIDTHS.tolist())]
    for fill in (0.0, 1e9, float("nan")):
        padded = torch.full((3, 3, 9, 3), fill, dtype=maps.dtype)
        for b, width in enumerate(WIDTHS.tolist()):
            padded[b, :, :width] = maps[b, :, :width]
        padded.requires_grad_()
        outputs = layer(padded, WIDTHS)
        (d_padded, *others) = torch.autograd.grad(outputs.square().sum(), [padded, *layer.parameters()])
        assert all(gradient.isfinite().all() for gradient in others)
        for b, width in enumerate(WIDTHS.tolist()):
            torch.testing.assert_close(outputs[b, :, :width], alone[b])
            assert not outputs[b, :, width:].any() and not d_padded[b, :, width:].any()


def test_states_of_the_published_cell_can_double_and_those_of_the_stable_one_cannot() -> None:
    reach = {}
    for stable in (False, True):
        layer = MdLstm(1, 1, stable)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.zero_()
            layer.peepholes.zero_()
            gates = layer.bias.view(4, 5)
            gates[:, :2] = 20.0  # i and f open
            gates[:, 2] = 0.0 if stable else 20.0  # a: half of each side, or all of that above
            gates[:, 3] = 0.01  # g
            gates[:, 4] = 20.0
        with torch.no_grad():
            reach[stable] = float(layer(torch.zeros(1, 12, 12, 1), torch.tensor([12]))[0, 11, 11, 0])
    assert reach[False] > 0.999 and 0.05 < reach[True] < 0.25  # tanh of 0.01 times: all paths there, the length of a path


@both_forms
def test_the_published_cell_starts_without_growth_over_a_line(stable: bool) -> None:
    torch.manual_seed(0)
    layer = MdLstm(8, 2, stable)
    maps = torch.rand(1, 16, 300, 8) + 1
    outputs = layer(maps, torch.tensor([300]))
    outputs.sum().backward()
    assert outputs.isfinite().all() and all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_bf16_maps_and_autocast_are_computed_in_float32() -> None:
    layer, maps = make_layer(False, dtype=torch.float32), make_maps(torch.float32)
    exact = layer(maps, WIDTHS)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = layer(maps.bfloat16(), WIDTHS)
        assert outputs.dtype == torch.float32
        torch.testing.assert_close(layer(maps, WIDTHS), exact, atol=0, rtol=0)
    torch.testing.assert_close(outputs, exact, atol=0.03, rtol=0)


@pytest.mark.filterwarnings("ignore")
def test_an_exported_and_reloaded_layer_is_the_same() -> None:
    layer, maps = make_layer(True, dtype=torch.float32).eval(), make_maps(torch.float32).detach()
    columns = torch.export.Dim("columns", min=2, max=1000)
    program = torch.export.export(layer, (maps, WIDTHS), dynamic_shapes=({2: columns}, None))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    wider = torch.cat([maps, maps], dim=2)
    loaded = torch.export.load(file).module()
    for given, widths in ((maps, WIDTHS), (wider, 2 * WIDTHS)):
        torch.testing.assert_close(loaded(given, widths), layer(given, widths), atol=0, rtol=0)


def test_the_operator_keeps_the_rules_of_the_framework() -> None:
    layer, maps = make_layer(False), make_maps()
    arguments = (maps, WIDTHS, layer.weight, layer.bias, layer.peepholes, False)
    torch.library.opcheck(torch.ops.recognizer.mdlstm.default, arguments, test_utils=("test_schema", "test_autograd_registration", "test_faketensor"))


HEIGHT = 9  # not a multiple of the blocks
CONFIG = MdLstmFrontend(hidden_sizes=(2, 3, 4), units=(3, 5), block_heights=(2, 2, 2), block_widths=(2, 3, 1))


def make_encoder(config: MdLstmFrontend = CONFIG) -> MdLstmEncoder:
    torch.manual_seed(0)
    encoder = MdLstmEncoder(config)
    with torch.no_grad():
        for parameter in encoder.parameters():  # biases that turn zeros into something else
            parameter.normal_(0, 0.4)
    return encoder.eval()


def pad_columns(items: list[Tensor], extra: int) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([len(item) for item in items])
    padded = torch.zeros(len(items), int(lengths.max()) + extra, HEIGHT)
    for row, item in zip(padded, items, strict=True):
        row[: len(item)] = item
    return padded, lengths


def test_frames_are_as_many_as_computed_from_the_length() -> None:
    encoder = make_encoder()
    assert (encoder.strides, encoder.stride, encoder.dim) == ([2, 6, 6], 6, 16)
    with torch.no_grad():
        for length in range(1, 20):
            frames, lengths = encoder(torch.zeros(1, length, HEIGHT), torch.tensor([length]))
            assert frames.shape == (1, encoder.frames(length), encoder.dim)
            assert lengths.tolist() == [encoder.frames(length)] == [-(-length // encoder.stride)]
    assert encoder.frames(torch.arange(20)).tolist() == [encoder.frames(length) for length in range(20)]


def test_an_item_alone_is_the_same_as_in_a_padded_batch() -> None:
    encoder = make_encoder()
    items = [torch.randn(length, HEIGHT) for length in (23, 1, 6, 22, 7)]
    with torch.no_grad():
        alone = [encoder(item[None], torch.tensor([len(item)]))[0][0] for item in items]
        for extra in (0, 1, 7):
            frames, lengths = encoder(*pad_columns(items, extra))
            for row, length, expected in zip(frames, lengths.tolist(), alone, strict=True):
                assert length == len(expected)
                torch.testing.assert_close(row[:length], expected, atol=1e-5, rtol=0)
                assert not row[length:].any()


def test_learning_does_not_depend_on_the_amount_of_padding() -> None:
    items = [torch.randn(length, HEIGHT) for length in (13, 5, 1)]
    found = []
    for extra in (0, 9):
        encoder = make_encoder()
        frames, lengths = encoder(*pad_columns(items, extra))
        (frames[:, : int(lengths.max())].square()).sum().backward()
        found.append([parameter.grad for parameter in encoder.parameters()])
    for first, second in zip(*found, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-4)


def test_a_block_holds_its_pixels_row_by_row() -> None:
    encoder = make_encoder()
    columns = torch.arange(20.0).reshape(1, 4, 5)  # pixel (row r, column t) is 5 t + r
    maps, lengths = encoder._gather(columns.transpose(1, 2)[..., None], torch.tensor([3]), 0)
    assert maps.shape == (1, 3, 2, 4) and lengths.tolist() == [2]
    assert maps[0, 0, 1].tolist() == [10, 15, 11, 16] and maps[0, 2, 0].tolist() == [4, 9, 0, 0]


@pytest.mark.parametrize("stable", [False, True])
def test_two_lines_are_learned(stable: bool) -> None:
    torch.manual_seed(4)
    frontend = MdLstmFrontend(hidden_sizes=(2, 6), units=(4,), block_heights=(2, 4), block_widths=(2, 2), stable=stable)
    network = Network(RecognizerConfig(LineFeatures(height=8, normalize="none"), ModelConfig(frontend, num_layers=0)), labels=4)
    lines = (torch.rand(2, 32, 8) < 0.3).to(torch.uint8) * 255
    lengths, targets, counts = torch.tensor([32, 25]), torch.tensor([[1, 2, 3, 3], [2, 1, 0, 0]]), torch.tensor([4, 2])
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    for _ in range(100):
        log_probs, frames = network(lines, lengths)
        loss = functional.ctc_loss(log_probs.transpose(0, 1), targets, frames, counts)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
    best = [row[:length].argmax(1).unique_consecutive() for row, length in zip(network(lines, lengths)[0], frames.tolist(), strict=True)]
    assert [[label for label in row.tolist() if label] for row in best] == [[1, 2, 3, 3], [2, 1]]
