"""The guarantees of the cascade task: who is trained, who is frozen, and what a checkpoint holds."""

import copy
import itertools

import pytest
import torch
from torch import nn

from modeling_samdistill.distillation import (
    CascadeArguments,
    DistillationTask,
    RefinerArguments,
    WeightSchedule,
    build_refiner,
)
from modeling_samdistill.models import ARCHITECTURES, NafnetConfig, NafnetForImageRestoration
from modeling_samdistill.teachers import SemanticMasks

SMALL = {"width": 8, "encoder_depths": (1,), "middle_depth": 1, "decoder_depths": (1,)}


class MeanColourAnalyser(nn.Module):
    """A real, if small, analyser: one fixed convolution."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(7)
        self.layer = nn.Conv2d(3, 6, 3, stride=2).requires_grad_(False)

    def forward(self, pictures):
        return [self.layer(pictures)]


class HalvesTeacher(nn.Module):
    """Left half and right half, with a parameter and dropout so that being frozen can be seen."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.seen = []
        self.eval()

    def forward(self, pictures):
        self.seen.append(pictures)
        labels = torch.ones(len(pictures), *pictures.shape[-2:], dtype=torch.long)
        labels[..., pictures.shape[-1] // 2 :] = 2
        return SemanticMasks.from_label_maps(labels)


def student(seed=0):
    torch.manual_seed(seed)
    network = NafnetForImageRestoration(NafnetConfig(**SMALL))
    for block in network.modules():
        # Blocks start as the identity; open them so that every parameter matters.
        if hasattr(block, "mixing_scale"):
            nn.init.normal_(block.mixing_scale)
            nn.init.normal_(block.feed_forward_scale)
    return network


def cascade(network=None, arguments=None, **parts):
    network = network or student()
    arguments = arguments or CascadeArguments(fuse_width=4, spd=WeightSchedule(0.1))
    torch.manual_seed(1)
    return DistillationTask(network, arguments, build_refiner(arguments, network, ARCHITECTURES), **parts)


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(2, 3, 16, 16, generator=generator)
    noise = torch.randn(2, 3, 16, 16, generator=generator)
    labels = torch.arange(256).view(1, 16, 16).expand(2, -1, -1) // 60 + 1
    return {"degraded": clean + 0.1 * noise, "clean": clean, "labels": labels}


def test_student_checkpoint_is_that_of_a_vanilla_student():
    task = cascade(teacher=HalvesTeacher(), analyser=MeanColourAnalyser())
    assert task.export().state_dict().keys() == student().state_dict().keys()
    assert task.student.state_dict().keys() == student().state_dict().keys()


def test_no_state_dict_of_the_task_has_teacher_or_analyser():
    task = cascade(teacher=HalvesTeacher(), analyser=MeanColourAnalyser())
    assert {key.partition(".")[0] for key in task.state_dict()} == {"student", "refiner"}


def test_teacher_stays_frozen_and_in_eval_after_train():
    teacher, analyser = HalvesTeacher(), MeanColourAnalyser()
    task = cascade(teacher=teacher, analyser=analyser)
    task.train().requires_grad_(True)
    assert not teacher.training
    assert not teacher.scale.requires_grad
    assert not any(parameter.requires_grad for parameter in analyser.parameters())


@pytest.mark.parametrize("fuse", ["none", "concat", "modulate", "region_pool"])
@pytest.mark.parametrize("target", ["live", "ema"])
@pytest.mark.parametrize("gradient", ["detached", "through"])
def test_every_trained_parameter_gets_a_gradient_in_every_phase(fuse, target, gradient):
    arguments = CascadeArguments(
        fuse=fuse, fuse_width=4, spd=WeightSchedule(0.1), refiner=RefinerArguments(target=target, gradient=gradient)
    )
    task = cascade(arguments=arguments)
    for phase in ("joint", "student", "refiner", "distil"):
        task.set_phase(phase)
        task.zero_grad()
        task(**batch(), progress=0.5)["total"].backward()
        for name, parameter in task.named_parameters():
            assert (parameter.grad is not None) == parameter.requires_grad, f"{name} in phase {phase}"


def test_phases_train_what_they_say():
    task = cascade()
    trained = {}
    for phase in ("joint", "student", "refiner", "distil"):
        task.set_phase(phase)
        trained[phase] = {name.partition(".")[0] for name, p in task.named_parameters() if p.requires_grad}
    assert trained == {
        "joint": {"student", "refiner"},
        "student": {"student"},
        "refiner": {"refiner"},
        "distil": {"student"},
    }


def train(task, steps=5, clip=1.0):
    parts = [list(task.student.parameters())] + ([list(task.refiner.parameters())] if task.refiner else [])
    optimizer = torch.optim.AdamW([{"params": part} for part in parts], lr=1e-3)
    for step in range(steps):
        task(**batch(step), progress=step / steps)["total"].backward()
        for part in parts:
            torch.nn.utils.clip_grad_norm_(part, clip)
        optimizer.step()
        optimizer.zero_grad()
        task.after_step()
    return task.student.state_dict()


def test_weights_of_zero_give_plain_training_bit_for_bit():
    alone = train(DistillationTask(student()))
    arguments = CascadeArguments(fuse_width=4, spd=WeightSchedule(0.0), sgr=WeightSchedule(0.0))
    distilled = train(cascade(arguments=arguments))
    assert all(torch.equal(alone[name], distilled[name]) for name in alone)


@pytest.mark.parametrize("term", ["spd", "sgr"])
def test_a_weight_changes_the_student_from_its_start_on(term):
    alone = train(DistillationTask(student()))
    for start, differs in ((0.0, True), (0.9, False)):
        schedule = WeightSchedule(0.5, start=start)
        arguments = CascadeArguments(
            fuse_width=4,
            spd=schedule if term == "spd" else WeightSchedule(),
            sgr=schedule if term == "sgr" else WeightSchedule(),
        )
        distilled = train(cascade(arguments=arguments, analyser=MeanColourAnalyser()))
        assert differs == any(not torch.equal(alone[name], distilled[name]) for name in alone)


def student_gradient(gradient):
    arguments = CascadeArguments(fuse_width=4, spd=WeightSchedule(), refiner=RefinerArguments(gradient=gradient))
    task = cascade(arguments=arguments)
    task(**batch())["total"].backward()
    return torch.cat([parameter.grad.flatten() for parameter in task.student.parameters()])


def test_the_refiners_gradient_reaches_the_student_only_when_asked():
    alone = DistillationTask(student())
    alone(**batch())["total"].backward()
    plain = torch.cat([parameter.grad.flatten() for parameter in alone.student.parameters()])
    assert torch.equal(student_gradient("detached"), plain)
    assert not torch.allclose(student_gradient("through"), plain)


def test_distillation_never_trains_the_refiner():
    gradients = []
    for weight in (0.0, 5.0):
        task = cascade(arguments=CascadeArguments(fuse_width=4, spd=WeightSchedule(weight), sgr=WeightSchedule(weight)),
                       analyser=MeanColourAnalyser())  # fmt: skip
        task(**batch(), progress=0.5)["total"].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in task.refiner.parameters()]))
    assert torch.equal(*gradients)


def test_the_average_of_the_refiner_follows_it_slowly_and_is_the_target():
    arguments = CascadeArguments(
        fuse_width=4, spd=WeightSchedule(0.1), refiner=RefinerArguments(target="ema", ema_decay=0.9)
    )
    task = cascade(arguments=arguments)
    before = copy.deepcopy(task.refiner.state_dict())
    train(task, steps=3)
    name = "network.ending.weight"
    moved = (task.refiner.state_dict()[name] - before[name]).abs().sum()
    behind = (task.refiner.state_dict()[name] - task.refiner_average.module.state_dict()[name]).abs().sum()
    assert moved > 0
    assert behind > 0
    item = batch()
    restored = task.student(item["degraded"]).reconstruction
    masks = SemanticMasks.from_label_maps(item["labels"])
    target = task.refiner_average(item["degraded"], restored, masks)
    terms = task(**item, progress=0.5)
    assert float(terms["spd"]) == pytest.approx(0.1 * float((restored - target).abs().mean()), rel=1e-5)


def test_a_frozen_refiner_is_not_trained_in_the_joint_phase():
    arguments = CascadeArguments(
        fuse_width=4, spd=WeightSchedule(0.1), refiner=RefinerArguments(target="frozen", weights="given")
    )
    task = cascade(arguments=arguments)
    assert not any(parameter.requires_grad for parameter in task.refiner.parameters())
    before = copy.deepcopy(task.refiner.state_dict())
    train(task)
    assert all(torch.equal(before[name], value) for name, value in task.refiner.state_dict().items())


@pytest.mark.parametrize(("mask_of", "cached"), [("restored", False), ("target", False)])
def test_the_teacher_sees_the_picture_that_was_asked_for(mask_of, cached):
    teacher = HalvesTeacher()
    task = cascade(arguments=CascadeArguments(fuse_width=4, mask_of=mask_of, mask_cache=cached), teacher=teacher)
    item = batch()
    del item["labels"]
    task(**item)
    restored = task.student(item["degraded"]).reconstruction
    expected = restored.detach().clamp(0, 1) if mask_of == "restored" else item["clean"]
    assert torch.equal(teacher.seen[0], expected)
    assert not teacher.seen[0].requires_grad


def test_the_refiner_can_be_larger_and_any_module_can_be_the_student():
    foreign = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 3, 3, padding=1))
    arguments = CascadeArguments(
        spd=WeightSchedule(0.1), refiner=RefinerArguments(architecture="nafnet", config={**SMALL, "width": 12})
    )
    task = cascade(foreign, arguments)
    assert task.refiner.network.config.width == 12
    assert task.refiner.network.config.num_channels == task.refiner.fusion.out_channels
    terms = task(**batch(), progress=0.5)
    terms["total"].backward()
    assert set(terms) == {"reconstruction", "refiner", "spd", "total"}
    assert foreign[0].weight.grad.abs().sum() > 0


def test_the_refiner_has_the_students_settings_unless_told():
    network = student()
    same = build_refiner(CascadeArguments(), network, ARCHITECTURES).network
    assert (same.config.width, tuple(same.config.encoder_depths)) == (8, (1,))
    wider = build_refiner(CascadeArguments(refiner=RefinerArguments(config={"width": 16})), network, ARCHITECTURES)
    assert wider.network.config.width == 16
    assert network.config.num_channels == 3, "the student's own config is not touched"


def test_sgr_without_masks_is_refused():
    arguments = CascadeArguments(fuse="none", sgr=WeightSchedule(1.0))
    with pytest.raises(ValueError, match="no masks or no analyser"):
        cascade(arguments=arguments)(**batch())


def test_totals_are_the_sum_of_the_terms():
    arguments = CascadeArguments(fuse_width=4, spd=WeightSchedule(0.1), sgr=WeightSchedule(0.2))
    terms = cascade(arguments=arguments, analyser=MeanColourAnalyser())(**batch(), progress=0.5)
    parts = [float(value) for name, value in terms.items() if name != "total"]
    assert len(parts) == 4
    assert float(terms["total"]) == pytest.approx(sum(parts), rel=1e-6)


def test_odd_sizes_pass_through_the_whole_cascade():
    task = cascade(analyser=MeanColourAnalyser())
    for height, width in itertools.product((5, 17), (7, 16)):
        clean = torch.rand(1, 3, height, width)
        labels = torch.randint(0, 4, (1, height, width))
        assert torch.isfinite(task(clean, clean, labels, progress=0.5)["total"])
