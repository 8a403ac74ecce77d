"""Components in every legal choice of their options, alone and stacked as packs stack them."""

from itertools import product

import torch
from torch import nn
from torch.func import functional_call, stack_module_state

from tests.trainables.tiny_models import tiny_model
from trainables import catalogue
from trainables.contracts import Search


def variants(slot, names=()):
    """Names of the components of a slot with every legal choice of the options that list theirs.

    Of all in the folder, unless some are named.
    """
    found = []
    for name in names or catalogue.names(slot):
        component = catalogue.load(slot, name)
        listed = {key: o.choices for key, o in catalogue.options(component).items() if o.choices}
        for values in product(*listed.values()):
            options = {**must_be_named(component), **dict(zip(listed, values, strict=True))}
            if not problems(component, options):
                found.append((name, options))
    return found


def must_be_named(component):
    """Values of options whose default is none that would do: of a pretrained model, a small one."""
    return {"model": tiny_model()} if "model" in catalogue.options(component) else {}


def problems(component, options):
    """What the rules across options say, the others at their defaults."""
    defaults = {name: option.default for name, option in catalogue.options(component).items()}
    return component.check(**{**defaults, **options}) if hasattr(component, "check") else []


def built(slot, name, options, **wiring):
    """A component with its options, given what it names of the wiring."""
    component = catalogue.load(slot, name)
    wanted = (wiring[name] for name in catalogue.wiring(component))
    return component(*wanted, **{**must_be_named(component), **options})


def float_options(component):
    """For three members, different values of every searched float option."""
    searched = {
        name: option.suggestion
        for name, option in catalogue.options(component).items()
        if option.kind is float and isinstance(option.suggestion, Search)
    }
    return [
        {name: s.low + share * (s.high - s.low) for name, s in searched.items()}
        for share in (0.0, 0.3, 1.0)
    ]


def name_of(variant):
    name, options = variant
    values = (str(value) for option, value in options.items() if option != "model")
    return "-".join([name, *values])


class Called(nn.Module):
    """A module whose call is any function of a component and tensors."""

    def __init__(self, component, call):
        super().__init__()
        self.component = component
        self.call = call

    def forward(self, *inputs):
        return self.call(self.component, *inputs)


def stacked(components, call):
    """``call(component, *inputs)`` of all components at once; inputs are stacked as well."""
    members = [Called(component, call) for component in components]
    parameters, buffers = stack_module_state(members)

    def one(parameters, buffers, *inputs):
        return functional_call(members[0], (parameters, buffers), inputs)

    return lambda *inputs: torch.func.vmap(one)(parameters, buffers, *inputs)


def looped(components, call):
    """The same, one component after the other."""
    return lambda *inputs: torch.stack(
        [call(component, *of_one) for component, *of_one in zip(components, *inputs, strict=True)]
    )
