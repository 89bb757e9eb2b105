"""inspect: the entry, its constructor's arguments, its inputs; and every error with its place."""

from __future__ import annotations

from oracle_harness import inspect_source, refusal

NET = """
class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.fc = nn.Linear(3, width)

    def forward(self, x):
        return self.fc(x)
"""
INPUTS = [{"shape": [2, 3], "dtype": "float32"}]


def test_lists_what_the_files_hold():
    result = inspect_source(NET + "\ndef helper(a):\n    return a\n", entry="Net", inputs=INPUTS)
    assert result["entry"] == {
        "module": "model",
        "name": "Net",
        "file": "model.py",
        "line": 5,
        "kind": "class",
    }
    assert result["classes"] == [
        {"name": "Net", "file": "model.py", "line": 5, "bases": ["nn.Module"]}
    ]
    assert [f["name"] for f in result["functions"]] == ["helper"]
    assert result["imports"] == ["torch"]
    assert result["init"] == {"how": "none", "args": [], "kwargs": {}, "expr": None}
    assert result["inputs"]["how"] == "given"


def test_the_module_class_that_no_other_uses_is_the_entry():
    source = """
    class Block(nn.Module):
        def forward(self, x):
            return x * 2

    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = Block()

        def forward(self, x):
            return self.block(x)
    """
    assert inspect_source(source, inputs=INPUTS)["entry"]["name"] == "Whole"


def test_model_is_the_entry_where_there_is_one():
    source = NET + NET.replace("Net", "Model")
    assert inspect_source(source, inputs=INPUTS)["entry"]["name"] == "Model"


def test_two_candidates_are_ambiguous():
    error = refusal(NET + NET.replace("Net", "Other"), inputs=INPUTS)
    assert error.code == "entry_ambiguous"
    assert "model:Net" in error.message and "model:Other" in error.message


def test_entries_that_are_not_there():
    assert refusal(NET, entry="Nothing").code == "entry_not_found"
    assert refusal(NET, entry="other:Net").code == "entry_not_found"
    assert refusal("x = 1").code == "entry_not_found"
    assert refusal("class Config:\n    pass\n", entry="Config").code == "entry_not_found"


def test_a_function_is_an_entry():
    source = "def clip(x, limit: float = 1.0):\n    return x.clamp(-limit, limit)\n"
    result = inspect_source(source, entry="model:clip", inputs=INPUTS)
    assert result["entry"]["kind"] == "function"


def test_a_package_of_several_files():
    files = {
        "net/__init__.py": "from .whole import Whole\n",
        "net/part.py": "from torch import nn\n\nclass Part(nn.Linear):\n    pass\n",
        "net/whole.py": """
        from torch import nn
        from net.part import Part

        class Whole(nn.Module):
            def __init__(self):
                super().__init__()
                self.part = Part(3, 2)

            def forward(self, x):
                return self.part(x)
        """,
    }
    result = inspect_source(files, entry="net.whole:Whole", inputs=INPUTS)
    assert result["entry"]["file"] == "net/whole.py"
    assert result["imports"] == ["torch"]
    assert inspect_source(files, inputs=INPUTS)["entry"]["name"] == "Whole"


def test_syntax_error():
    error = refusal("def f(:\n    pass\n")
    assert (error.code, error.file, error.line) == ("source_syntax", "model.py", 4)
    assert error.text == "def f(:"


def test_a_package_that_is_not_installed():
    error = refusal("from not_there_at_all.models import vit\n" + NET)
    assert (error.code, error.why) == ("missing_package", "not_there_at_all")
    assert (error.file, error.line) == ("model.py", 4)


def test_an_error_while_importing_shows_only_the_sources_frames():
    error = refusal("def f():\n    return 1 / 0\n\nVALUE = f()\n" + NET)
    assert (error.code, error.file, error.line) == ("source_import", "model.py", 5)
    assert error.text == "return 1 / 0"
    assert error.traceback is not None
    assert "ZeroDivisionError" in error.traceback
    assert "importlib" not in error.traceback and error.traceback.count("File ") == 2


def test_a_missing_constructor_argument_is_named():
    error = refusal(NET.replace("width=4", "width, depth"), init={"args": [4]})
    assert (error.code, error.why, error.file) == ("init_unknown", "depth", "model.py")


def test_constructor_arguments_given_and_by_expression():
    given = inspect_source(NET, init={"args": [7], "kwargs": {}}, inputs=INPUTS)["init"]
    assert given == {"how": "given", "args": [7], "kwargs": {}, "expr": None}
    expr = inspect_source(NET, init_expr="Net(width=2 + 3)", inputs=INPUTS)["init"]
    assert (expr["how"], expr["expr"]) == ("expr", "Net(width=2 + 3)")


def test_get_init_inputs_as_list_as_dict_and_as_pair():
    def init(text: str) -> dict:
        source = NET + f"\ndef get_init_inputs():\n    return {text}\n"
        return inspect_source(source, inputs=INPUTS)["init"]

    assert init("[5]") == {"how": "get_init_inputs", "args": [5], "kwargs": {}, "expr": None}
    assert init("{'width': 5}")["kwargs"] == {"width": 5}
    assert init("([], {'width': 5})")["kwargs"] == {"width": 5}
    assert init("[[5], {}]")["args"] == [5]


def test_arguments_that_json_cannot_carry_are_code():
    source = """
    class Net(nn.Module):
        def __init__(self, kernel):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, kernel)

        def forward(self, x):
            return self.conv(x)

    def get_init_inputs():
        return [(3, 5)]
    """
    inputs = [{"shape": [2, 3, 8, 8]}]
    assert inspect_source(source, inputs=inputs)["init"]["how"] == "code"


def test_an_error_in_the_constructor_has_its_place():
    error = refusal(NET.replace("nn.Linear(3, width)", "nn.Linear(3, None)"), inputs=INPUTS)
    assert (error.code, error.file, error.line) == ("source_error", "model.py", 8)
    assert error.text == "self.fc = nn.Linear(3, None)"


def test_an_error_in_forward_has_its_place():
    error = refusal(NET, inputs=[{"shape": [2, 9]}])
    assert (error.code, error.file, error.line) == ("source_error", "model.py", 11)
    assert "mat1 and mat2" in error.message


def test_exit_in_the_source_is_an_error_of_the_source():
    error = refusal("import sys\nsys.exit(0)\n" + NET)
    assert (error.code, error.line) == ("source_import", 5)


def test_inputs_that_forward_does_not_take():
    assert refusal(NET, inputs=INPUTS * 2).code == "inputs_refused"
    assert refusal(NET, inputs_expr="(object(),)").code == "inputs_refused"
    assert refusal(NET, inputs=[{"shape": [2, 3], "name": "y"}]).code == "inputs_refused"
