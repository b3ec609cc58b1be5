"""What `import reid` offers is there, documented, runs, and is loaded at first use."""

import doctest
import inspect
import subprocess
import sys

import pytest
from support.paths import ROOT

import reid


@pytest.mark.parametrize("name", reid.__all__)
def test_every_public_name_is_documented_with_an_example_that_runs(name: str) -> None:
    function = getattr(reid, name)
    text = inspect.getdoc(function) or ""
    assert "Returns:" in text
    assert all(f"\n    {each}: " in text for each in inspect.signature(function).parameters)
    if ">>>" in text:
        names = {each: getattr(reid, each) for each in reid.__all__}
        test = doctest.DocTestParser().get_doctest(text, names, name, None, 0)
        assert doctest.DocTestRunner().run(test).failed == 0


def test_names_are_loaded_at_first_use() -> None:
    program = "import reid, sys; print(sorted({'numpy', 'cv2', 'torch'} & set(sys.modules)), dir(reid))"
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout.split("]")[0] == "["
    assert "prompts_from_mask" in run.stdout
    with pytest.raises(AttributeError, match="prompt_from_mask"):
        reid.prompt_from_mask  # noqa: B018
