"""`tests/ROOM/test_MODULE.py` tests `pipeline/ROOM/MODULE.py`, one to one; the rest lies apart."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
PIPELINE = TESTS.parent / "pipeline"
APART = {"integration", "support", "fixtures"}
OF_THE_TREE = {"test_architecture.py", "test_mirror.py", "test_words.py", "test_documents.py"}
"""Tests of the whole tree, not of a module."""

THROUGH = {
    "cli/sweep/opening": "cli/sweep/test_command.py",
    "cli/sweep/study": "cli/sweep/test_command.py",
    "cli/sweep/progress": "cli/sweep/test_screen.py",
    "cli/frontier/choice": "cli/frontier/test_command.py",
    "cli/frontier/export": "cli/frontier/test_command.py",
    "cli/frontier/output": "cli/frontier/test_command.py",
    "cli/frontier/refusal": "cli/frontier/test_command.py",
    "cli/explain/advice": "cli/explain/test_word_forms.py",
    "cli/explain/foreign_names": "cli/explain/test_names.py",
    "cli/explain/foreign_values": "cli/explain/test_names.py",
    "cli/explain/options": "cli/explain/test_word_forms.py",
    "cli/diagnose/log": "cli/diagnose/test_command.py",
    "cli/loops/words": "trial/test_user_keys.py",
    "cli/stages/evaluate": "integration/test_end_to_end.py",
    "cli/stages/preparation": "integration/test_end_to_end.py",
    "cli/stages/preprocess": "integration/test_end_to_end.py",
    "cli/stages/profile": "integration/test_end_to_end.py",
    "cli/stages/recording": "integration/test_end_to_end.py",
    "cli/stages/run": "integration/test_end_to_end.py",
    "cli/stages/train": "integration/test_end_to_end.py",
    "cli/stages/trained_model": "integration/test_end_to_end.py",
    "cli/summary/costs": "integration/test_end_to_end.py",
    "cli/summary/results": "integration/test_end_to_end.py",
    "cli/sweep/observer": "cli/sweep/test_command.py",
    "data/column_blocks": "data/test_feature_layers.py",
    "data/column_layers": "data/test_feature_layers.py",
    "data/conflicts": "data/test_preprocess.py",
    "data/features": "data/test_feature_layers.py",
    "data/prepared": "data/test_cache_entry.py",
    "data/prepared_content": "data/test_preprocess.py",
    "data/readers/alphabets": "data/readers/test_encodings.py",
    "data/readers/array_files": "data/sources/test_arrays.py",
    "data/readers/hub/labels": "data/sources/test_datasets.py",
    "data/readers/hub/rows": "data/sources/test_datasets.py",
    "data/readers/folder_files": "data/readers/test_file_tree.py",
    "data/readers/split_names": "data/readers/test_file_tree.py",
    "data/readers/scratch": "integration/test_streaming.py",
    "data/quality/column_spread": "data/quality/test_drift.py",
    "data/quality/columns": "cli/predict/test_command.py",
    "data/quality/report": "data/quality/test_check.py",
    "data/quality/twin_images": "data/quality/test_near_duplicates.py",
    "data/quality/twin_texts": "data/quality/test_near_duplicates.py",
    "data/quality/twins": "data/quality/test_check.py",
    "data/repeats": "data/test_preprocess.py",
    "data/samples": "data/test_feature_layers.py",
    "data/scaling": "data/test_preprocess.py",
    "data/sources/digits": "data/test_preprocess.py",
    "data/sources/mnist": "data/readers/test_downloads.py",
    "data/splitting": "data/test_preprocess.py",
    "data/text_layers": "data/test_feature_layers.py",
    "data/tables/cells": "data/tables/test_table_files.py",
    "data/tables/codes": "data/tables/test_find_types.py",
    "data/tables/column_types": "data/tables/test_find_types.py",
    "data/tables/column_content": "data/tables/test_find_types.py",
    "data/tables/delimited": "data/tables/test_table_files.py",
    "data/tables/durations": "data/tables/test_dates.py",
    "data/tables/find_type": "data/tables/test_find_types.py",
    "data/tables/frame/dialect": "data/tables/test_table_files.py",
    "data/tables/frame/fixed_width": "data/tables/test_table_files.py",
    "data/tables/frame/footers": "data/tables/test_table_files.py",
    "data/tables/frame/headers": "data/tables/test_table_files.py",
    "data/tables/frame/units": "data/tables/test_table_files.py",
    "data/tables/labels": "data/sources/test_csv.py",
    "data/tables/oddities": "data/tables/test_find_types.py",
    "data/tables/read_columns": "data/sources/test_csv.py",
    "data/tables/number_formats": "data/tables/test_find_types.py",
    "data/tables/typed_files/arff": "data/tables/test_table_files.py",
    "data/tables/typed_files/arrow_sizes": "data/readers/test_compression.py",
    "data/tables/typed_files/json_records": "data/tables/test_table_files.py",
    "data/tables/typed_files/other_forms": "data/tables/test_table_files.py",
    "data/tables/typed_files/other_workbooks": "data/tables/test_table_files.py",
    "data/tables/typed_files/sheet": "data/tables/test_table_files.py",
    "data/tables/typed_files/sparse_rows": "data/tables/test_table_files.py",
    "data/tables/typed_files/written_cells": "data/tables/test_table_files.py",
    "data/tables/typed_files/xlsx": "data/tables/test_table_files.py",
    "data/tables/text_files": "data/tables/test_table_files.py",
    "diagnosis/paired_attempt": "diagnosis/test_improve.py",
    "frontier_sampler/batches/candidate_forecasts": "frontier_sampler/batches/test_batch.py",
    "frontier_sampler/conditions": "frontier_sampler/test_sampler.py",
    "frontier_sampler/curves/outlook": "frontier_sampler/test_suggest.py",
    "frontier_sampler/distributions": "frontier_sampler/test_sampler.py",
    "frontier_sampler/domains": "frontier_sampler/test_encoding.py",
    "frontier_sampler/history": "frontier_sampler/test_suggest.py",
    "frontier_sampler/study_summary": "frontier_sampler/test_sampler.py",
    "cli/library/one_line": "cli/library/test_calls.py",
    "cli/library/rendering": "cli/library/test_calls.py",
    "cli/library/study": "cli/library/test_calls.py",
    "cli/library/words": "cli/library/test_words.py",
    "cli/library/values": "cli/library/test_calls.py",
    "models/layers": "models/test_architectures.py",
    "profiling/ablation_keras": "profiling/test_measure_breakdown.py",
    "reports/cards/markdown": "reports/cards/test_model_card.py",
    "reports/palette": "reports/test_study_plots.py",
    "reports/quantity_plots": "evaluation/test_quantities.py",
    "reports/study_charts": "reports/test_study_html.py",
    "reports/study_pair_charts": "integration/test_three_objectives.py",
    "reports/style": "reports/test_study_plots.py",
    "search/storage/study_settings": "search/test_study_store.py",
    "search/storage/trial_states": "search/test_study_store.py",
    "search/outcomes": "search/test_trial_rows.py",
    "search/storage/heartbeat": "search/test_study_store.py",
    "search/storage/held_trials": "search/test_study_store.py",
    "search/storage/our_studies": "search/test_optuna_storage.py",
    "search/storage/plain_rows": "search/storage/test_bulk_writing.py",
    "search/storage/study_table": "search/test_study_store.py",
    "search/sweep_spec": "search/test_sweep.py",
    "search/workers/cluster/slots": "search/workers/cluster/test_ray_pool.py",
    "search/workers/dispatcher": "search/test_sweep.py",
    "search/workers/failure": "search/workers/test_process_pool.py",
    "search/workers/fork_server": "search/workers/test_process_pool.py",
    "search/workers/job": "search/workers/test_network_job.py",
    "search/workers/job_kinds": "search/workers/test_network_job.py",
    "search/workers/preloaded": "search/workers/test_process_pool.py",
    "search/workers/pool": "search/workers/test_process_pool.py",
    "search/workers/user_job": "cli/loops/test_run_loop.py",
    "search/workers/worker_process": "search/workers/test_process_pool.py",
    "search/workers/worker": "search/workers/test_process_pool.py",
    "models/serving/answers": "models/serving/test_requests.py",
    "models/serving/decoding": "models/serving/test_requests.py",
    "models/serving/description": "models/serving/test_requests.py",
    "models/serving/table_labels": "models/serving/test_inputs.py",
    "models/serving/table_columns": "models/serving/test_inputs.py",
    "models/serving/predict": "cli/predict/test_command.py",
    "settings/tables": "settings/test_data.py",
    "tracking/diagnosis_recorder": "cli/diagnose/test_command.py",
    "tracking/diagnosis_view": "cli/diagnose/test_command.py",
    "tracking/model_artifact": "tracking/test_run_recorder.py",
    "tracking/metrics/cost": "tracking/test_run_recorder.py",
    "tracking/metrics/curve": "tracking/test_run_recorder.py",
    "tracking/metrics/evaluation": "integration/test_end_to_end.py",
    "tracking/runs/owner_tags": "tracking/runs/test_orphans.py",
    "tracking/loop_model": "cli/loops/test_run_loop.py",
    "tracking/publish_study": "cli/sweep/test_command.py",
    "tracking/registry/point_models": "cli/sweep/test_command.py",
    "tracking/registry/study_versions": "tracking/registry/test_study_models.py",
    "tracking/shared_views": "tracking/test_study_view.py",
    "tracking/study_runs": "tracking/test_study_recorder.py",
    "tracking/trial_recorder": "tracking/test_study_recorder.py",
    "training/network/network_epoch": "training/network/test_network_loop.py",
    "training/network/variable_updates": "training/network/test_network_loop.py",
    "training/network/row_gradients": "training/test_optimizers.py",
    "training/network/network_state": "training/network/test_network_loop.py",
    "training/perceptron/batches": "training/perceptron/test_compiled_epoch.py",
    "training/perceptron/epoch_spec": "training/perceptron/test_compiled_epoch.py",
    "trial/function": "trial/test_user_loop.py",
    "trial/loop_states": "trial/test_user_loop.py",
    "trial/program_output": "trial/test_command.py",
    "trial/read_keys": "trial/test_user_keys.py",
    "trial/user_code": "trial/test_user_keys.py",
    "trial/user_key": "trial/test_user_keys.py",
}
"""Modules without a test file of their own, and the tests that run through them."""


def find_modules() -> set[str]:
    """Return the modules of the pipeline, as `room/module`."""
    files = (path.relative_to(PIPELINE) for path in PIPELINE.rglob("*.py"))
    return {str(path.with_suffix("")) for path in files if not path.stem.startswith("__")}


def find_tested() -> dict[Path, str]:
    """Return the module that each test file is named after."""
    files = (path.relative_to(TESTS) for path in TESTS.rglob("test_*.py"))
    return {
        path: str(path.with_name(path.stem.removeprefix("test_")))
        for path in files
        if path.parts[0] not in APART and path.name not in OF_THE_TREE
    }


def test_each_test_file_is_named_after_a_module() -> None:
    packages = {str(path.parent.relative_to(PIPELINE)) for path in PIPELINE.rglob("__init__.py")}
    homes = find_modules() | packages
    lost = sorted(str(path) for path, module in find_tested().items() if module not in homes)
    assert not lost, f"no module for {', '.join(lost)}; move it beside its module's, or to tests/integration"


def test_each_module_has_a_test_file_or_is_tested_through_another() -> None:
    tested = set(find_tested().values())  # a package whose test runs through all its modules counts for them
    bare = {module for module in find_modules() if not {module, module.rpartition("/")[0]} & tested}
    assert bare == THROUGH.keys(), (
        f"without a test file: {sorted(bare - THROUGH.keys())}; "
        f"with one, or gone: {sorted(THROUGH.keys() - bare)}"
    )
    for module, tests in THROUGH.items():
        for test in tests.split():
            assert (TESTS / test).is_file(), f"{test}, which {module} is tested through, is not there"


def test_folders_apart_are_the_only_ones_that_are_no_rooms() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith("__")}
    rooms = {path.name for path in PIPELINE.iterdir() if path.is_dir()}
    assert folders - APART <= rooms
