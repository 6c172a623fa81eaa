"""The open body: a body in SMPL's form made from Anny (needs the `open-body` extra).

`python -m romp_core.body.open_body build` writes `romp_core/assets/open_body.npz`;
`python -m romp_core.body.open_body report` measures it and draws `docs/open-body.md`.
Nothing else in romp_core imports this package.
"""
