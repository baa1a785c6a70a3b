"""What every part of a plugin promises, as tests that its author runs in a few lines.

The whole of a ``tests/test_contract.py``::

    import pytest
    from pegboard.testing import cases

    @pytest.mark.parametrize("case", cases("acme_pegs"), ids=str)
    def test_contract(case):
        case.run()

A new part is tested before anyone writes a test for it. What a part cannot be built without, the plugin says once, in
``pegboard_examples`` (see ``pegboard.hookspecs``). ``pegboard plugins --doctor acme_pegs`` runs the same tests; nothing
here needs pytest.

| Parts | Promise |
|---|---|
| all | there at its address; documented; sound in ``pegboard check``; built from their example, without leaving a file; an argument that they do not take is refused by both; the same in a process that is started afresh (``spawn``) |
| models, transforms, losses | the docstring says the shapes |
| transforms | each sample becomes what it would become alone, and the same each time |
| hooks | resumed half way, they end in the same state; training is the same bit for bit with and without them, unless they say ``steers = True`` |
| metrics, schedulers, optimizers | saved half way and loaded into a new one, they go on as if nothing had happened |
| commands | their arguments can be parsed, and ``--help`` printed |
| ``pegboard_check`` | it has nothing against a config that has none of its parts, and changes nothing |
"""  # noqa: E501  # a table

from pegboard.testing.contract import Case, ContractError, cases

__all__ = ["Case", "ContractError", "cases"]
