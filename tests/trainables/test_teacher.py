import torch

from tests.trainables.trials import configured
from trainables.model import GroupModel
from trainables.teacher import Teacher


def model(seed):
    torch.manual_seed(seed)
    return GroupModel(configured(), (5,), True)


def vector(of):
    return torch.nn.utils.parameters_to_vector(of.parameters()).detach().clone()


def test_a_teacher_begins_as_a_copy_without_gradients():
    student = model(0)
    teacher = Teacher(student)
    assert torch.equal(vector(teacher.model), vector(student))
    assert not any(parameter.requires_grad for parameter in teacher.model.parameters())
    assert all(parameter.requires_grad for parameter in student.parameters())


def test_a_teacher_keeps_its_share_and_takes_the_rest_from_the_model():
    one, other = model(0), model(1)
    teacher = Teacher(one)
    teacher.follow(other, torch.tensor(0.75))
    expected = 0.75 * vector(one) + 0.25 * vector(other)
    torch.testing.assert_close(vector(teacher.model), expected)


def test_a_teacher_that_starts_again_is_the_model():
    teacher, other = Teacher(model(0)), model(1)
    teacher.copy(other)
    assert torch.equal(vector(teacher.model), vector(other))
