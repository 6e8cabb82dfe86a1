"""kf-spark-submit, run by bash: submissions that name the place where Spark's volume was before."""

import json
import shutil
import subprocess
import sys

import pytest

from kfinstall.parts.spark import place as spark_place
from kfinstall.parts.spark import submit as spark_submit
from tests.unit.parts.spark.test_spark import make_place

OLD, NEW = spark_place.WORK_DIR, spark_place.MOUNT
MOUNT = "spark.kubernetes.{role}.volumes.{kind}.{name}.mount.path"
CLAIM = "spark.kubernetes.{role}.volumes.{kind}.{name}.options.claimName"
OWN = {"spark": {"image": "registry.example/spark:mine"}}
SHARED = [
    word
    for role in ("driver", "executor")
    for word in (
        "--conf",
        MOUNT.format(role=role, kind="persistentVolumeClaim", name="spark-volume") + f"={OLD}",
        "--conf",
        CLAIM.format(role=role, kind="persistentVolumeClaim", name="spark-volume") + "=spark-volume",
    )
]


@pytest.fixture
def submit(tmp_path):
    """Runs the script; in place of kubectl and spark-submit a program writes its arguments down."""

    def run(*arguments, spark=False, sections=None, **environment):
        script = tmp_path / "kf-spark-submit"
        script.write_text(spark_submit.render(make_place(**(sections or {}))))
        for name in ("kubectl", "bin/spark-submit"):
            path = tmp_path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"#!{sys.executable}\nimport json,sys\nprint(json.dumps(sys.argv))\n")
            path.chmod(0o755)
        home = str(tmp_path) if spark else "/nowhere"
        own = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "SPARK_HOME": home, **environment}
        done = subprocess.run(["bash", str(script), *arguments], env=own, capture_output=True, text=True, check=False)
        words = json.loads(done.stdout) if done.returncode == 0 else []
        # What the script itself gives ends with its last setting.
        end = max((i for i, word in enumerate(words) if word.startswith("spark.kubernetes.executor.annotation.")), default=-1)
        return done.returncode, words[end + 1 :], done.stderr

    return run


def test_the_old_guides_submission_runs_with_the_volume_at_its_new_place(submit):
    code, words, stderr = submit(
        "--name", "sparkpi1", "--conf", f"spark.eventLog.dir={OLD}/logs", *SHARED, "--verbose", f"local://{OLD}/khouloud.py", "7"
    )
    assert code == 0, stderr
    assert f"spark.eventLog.dir={NEW}/logs" in words
    assert words[-2:] == [f"local://{NEW}/khouloud.py", "7"]
    assert "--verbose" in words and words[:2] == ["--name", "sparkpi1"]
    assert not any(OLD in word for word in words)
    # Every change is told, and nothing else.
    assert len(stderr.splitlines()) == 4
    assert all(line.startswith("kf-spark-submit: ") and line.endswith(f"{OLD} is {NEW} now") for line in stderr.splitlines())


def test_the_old_guides_slash_too_many_is_told_with_the_new_path(submit):
    code, _words, stderr = submit(f"local:///{OLD}/khouloud.py")
    assert code == 2
    assert f"has a slash too many: local://{NEW}/khouloud.py" in stderr


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--conf", f"spark.eventLog.dir=file:{OLD}/logs"], f"spark.eventLog.dir=file:{NEW}/logs"),
        (["--conf", f"spark.eventLog.dir=file://{OLD}/logs"], f"spark.eventLog.dir=file://{NEW}/logs"),
        ([f"--conf=spark.eventLog.dir={OLD}//logs"], f"spark.eventLog.dir={NEW}//logs"),
        (["-c", f"spark.jars=local://{OLD}/a.jar,local:///opt/b.jar"], f"spark.jars=local://{NEW}/a.jar,local:///opt/b.jar"),
        (["--jars", f"local://{OLD}/a.jar,local:{OLD}/b.jar"], f"local://{NEW}/a.jar,local:{NEW}/b.jar"),
        (["--py-files", f"local://{OLD}/lib.zip"], f"local://{NEW}/lib.zip"),
        ([f"--files=local://{OLD}/x.csv#y"], f"local://{NEW}/x.csv#y"),
        (["--archives", f"local://{OLD}/x.tgz#env"], f"local://{NEW}/x.tgz#env"),
        (["--driver-class-path", f"/a.jar:{OLD}/lib/*:{OLD}"], f"/a.jar:{NEW}/lib/*:{NEW}"),
        (
            ["--driver-java-options", f"-Xlog:gc:{OLD}/gc.log -Dx='file:{OLD}/log4j.properties'"],
            f"-Xlog:gc:{NEW}/gc.log -Dx='file:{NEW}/log4j.properties'",
        ),
        (["--conf", f"spark.executorEnv.PYTHONPATH={OLD}/lib:/x"], f"spark.executorEnv.PYTHONPATH={NEW}/lib:/x"),
        (["--conf", "spark.local.dir=/opt//spark/./work-dir/tmp"], f"spark.local.dir={NEW}/tmp"),
    ],
)
@pytest.mark.parametrize("spark", [False, True])
def test_what_means_the_volume_is_translated(submit, given, wanted, spark):
    code, words, stderr = submit(*given, "local:///app.py", spark=spark)
    assert code == 0, stderr
    assert wanted in words, words
    assert stderr.count(f"{OLD} is {NEW} now") == (2 if given[0] == "--jars" else 1)


@pytest.mark.parametrize(
    "given",
    [
        ["--conf", f"spark.x=/data{OLD}/a"],
        ["--conf", f"spark.x=hdfs://nn{OLD}/a"],
        ["--conf", f"spark.x=hdfs:{OLD}/a"],
        ["--conf", f"spark.x=s3a://bucket{OLD}/a"],
        ["--conf", f"spark.x={OLD}2/a"],
        ["--conf", f"spark.x={OLD}.old"],
        ["--conf", f"spark.x={OLD}/../jars/a.jar"],
        ["--conf", "spark.x"],
        ["--conf", f"spark.kubernetes.driver.volumes.hostPath.h.options.path={OLD}"],
        ["--name", f"about {OLD}"],
        ["--jars", f"https://example{OLD}/a.jar"],
        ["--conf", f"spark.x={NEW}/a"],
        ["--supervise", "--conf", "spark.a=b=c"],
    ],
)
def test_what_means_something_else_passes_as_it_is(submit, given):
    code, words, stderr = submit(*given, "local:///app.py", "--conf", "an argument")
    assert (code, stderr) == (0, "")
    assert sorted(words) == sorted([*given, "local:///app.py", "--conf", "an argument"])
    assert words[-3:] == ["local:///app.py", "--conf", "an argument"]


@pytest.mark.parametrize("argument", [f"{OLD}/in.csv", f"--out=file:{OLD}/out", f'{{"path": "{OLD}"}}'])
def test_an_argument_is_refused_until_it_is_said_what_it_means(submit, argument):
    code, _words, stderr = submit("local:///app.py", "one", argument)
    assert code == 2
    assert f"argument 2 of the application names {OLD}, and the volume is at {NEW} now" in stderr
    code, words, _stderr = submit("local:///app.py", argument, KF_SPARK_WORK_DIR="keep")
    assert (code, words[-1]) == (0, argument)
    code, words, _stderr = submit("local:///app.py", argument, KF_SPARK_WORK_DIR="volume")
    assert (code, words[-1]) == (0, argument.replace(OLD, NEW))


@pytest.mark.parametrize(
    ("sections", "options"),
    [
        (OWN, []),
        ({}, ["--conf", "spark.kubernetes.container.image=mine:1"]),
        ({}, ["--conf", "spark.kubernetes.driver.container.image=mine:1"]),
    ],
)
def test_an_image_of_ones_own_may_have_files_there(submit, sections, options):
    path = f"local://{OLD}/app.jar"
    code, _words, stderr = submit(*options, path, sections=sections)
    assert code == 2
    assert NEW in stderr and "KF_SPARK_WORK_DIR=keep" in stderr and "KF_SPARK_WORK_DIR=volume" in stderr
    code, words, stderr = submit(*options, path, sections=sections, KF_SPARK_WORK_DIR="keep")
    assert (code, words[-1], stderr) == (0, path, "")
    code, words, _stderr = submit(*options, path, sections=sections, KF_SPARK_WORK_DIR="volume")
    assert (code, words[-1]) == (0, f"local://{NEW}/app.jar")
    # Whatever the image has there: the shared claim is not mounted over it, and event logs go to the volume.
    settings = [*SHARED, "--conf", f"spark.eventLog.dir={OLD}/logs"]
    code, words, _stderr = submit(*options, *settings, path, sections=sections, KF_SPARK_WORK_DIR="keep")
    assert code == 0
    assert [word for word in words if OLD in word] == [path]


@pytest.mark.parametrize(("kind", "claim"), [("persistentVolumeClaim", "theirs"), ("nfs", ""), ("emptyDir", ""), ("hostPath", "")])
def test_another_volume_that_the_submission_mounts_there_is_its_own_affair(submit, kind, claim):
    options = ["--conf", MOUNT.format(role="driver", kind=kind, name="data") + f"={OLD}"]
    if claim:
        options += ["--conf", CLAIM.format(role="driver", kind=kind, name="data") + f"={claim}"]
    given = [*options, "--conf", f"spark.eventLog.dir={OLD}/logs", f"local://{OLD}/app.py", f"{OLD}/in.csv"]
    code, words, stderr = submit(*given)
    assert (code, words, stderr) == (0, given, "")


def test_the_shared_claim_under_another_name_is_refused(submit):
    name = {"role": "driver", "kind": "persistentVolumeClaim", "name": "data"}
    options = ["--conf", f"{MOUNT.format(**name)}={OLD}", "--conf", f"{CLAIM.format(**name)}=spark-volume"]
    code, _words, stderr = submit(*options, "local:///app.py")
    assert code == 2
    assert f"the claim spark-volume is mounted at {NEW} already: leave out spark.kubernetes.driver.volumes" in stderr
    elsewhere = [options[0], options[1].replace(OLD, "/data"), *options[2:]]
    assert submit(*elsewhere, "local:///app.py")[0] == 0


def test_the_claims_name_may_lead_to_another_claim(submit):
    name = {"role": "driver", "kind": "persistentVolumeClaim", "name": "spark-volume"}
    options = ["--conf", f"{CLAIM.format(**name)}=theirs", "--conf", f"{MOUNT.format(**name)}={OLD}"]
    given = [*options, f"local://{OLD}/app.py"]
    assert submit(*given) == (0, given, "")


@pytest.mark.parametrize("option", ["--jars", "--files", "--py-files", "--archives", "", "--keytab"])
@pytest.mark.parametrize("scheme", ["", "file:", "file://"])
def test_a_file_of_the_submitting_machine_is_refused_where_it_is_not_there(submit, option, scheme):
    given = [option, f"{scheme}{OLD}/a.jar", "local:///app.py"] if option else [f"{scheme}{OLD}/a.jar"]
    for spark in (False, True):
        code, _words, stderr = submit(*given, spark=spark)
        assert code == 2
        assert f"local://{NEW}/a.jar" in stderr


def test_files_that_are_given_are_looked_into(submit, tmp_path):
    settings = tmp_path / "app.conf"
    settings.write_text(f"# {OLD}\nspark.eventLog.dir {OLD}/logs\nspark.driver.extraClassPath={OLD}/lib/*\n")
    code, _words, stderr = submit("--properties-file", str(settings), "local:///app.py", spark=True)
    assert code == 2
    assert stderr.count("kf-spark-submit") == 1, "what the script sets itself counts before the file"
    assert f"{settings}, line 3 names {OLD}, and the volume is at {NEW} now" in stderr
    assert submit("--properties-file", str(settings), "local:///app.py", spark=True, KF_SPARK_WORK_DIR="keep")[0] == 0
    (tmp_path / "conf").mkdir()
    settings.rename(tmp_path / "conf" / "spark-defaults.conf")
    code, _words, stderr = submit("local:///app.py", spark=True)
    assert (code, "spark-defaults.conf, line 3" in stderr) == (2, True)
    assert submit("local:///app.py")[0] == 0, "a pod's Spark has defaults of its own"
    template = tmp_path / "driver.yaml"
    template.write_text(f"spec:\n  containers:\n  - volumeMounts:\n    - mountPath: {OLD}\n")
    code, _words, stderr = submit(
        "--conf", f"spark.kubernetes.driver.podTemplateFile={template}", "local:///app.py", SPARK_CONF_DIR="/nowhere", spark=True
    )
    assert (code, f"{template}, line 4" in stderr) == (2, True)


def test_all_that_is_refused_is_told_at_once_and_a_wrong_word_too(submit):
    code, _words, stderr = submit(f"--files={OLD}/a,{OLD}/b", "local:///app.py", f"{OLD}/c")
    assert (code, len(stderr.splitlines())) == (2, 3)
    code, _words, stderr = submit("local:///app.py", KF_SPARK_WORK_DIR="image")
    assert (code, "KF_SPARK_WORK_DIR is volume or keep, not image" in stderr) == (2, True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--driver-class-path", f"conf:{OLD}/lib/*"], f"conf:{NEW}/lib/*"),
        (["--driver-library-path", f"lib:{OLD}/lib"], f"lib:{NEW}/lib"),
        (["--conf", f"spark.executor.extraClassPath=lib:{OLD}/a.jar"], f"spark.executor.extraClassPath=lib:{NEW}/a.jar"),
        (["--conf", f"spark.executorEnv.PYTHONPATH=src:{OLD}"], f"spark.executorEnv.PYTHONPATH=src:{NEW}"),
        (
            ["--conf", f"spark.kubernetes.driverEnv.LD_LIBRARY_PATH=l:{OLD}/l"],
            f"spark.kubernetes.driverEnv.LD_LIBRARY_PATH=l:{NEW}/l",
        ),
    ],
)
def test_a_colon_is_between_paths_where_a_key_holds_several(submit, given, wanted):
    code, words, stderr = submit(*given, "local:///app.py")
    assert (code, words[1]) == (0, wanted), stderr


@pytest.mark.parametrize("sub", ["tmp", "/a//b/", "./tmp/x/.."])
def test_a_volume_below_the_former_place_keeps_only_what_is_below_it(submit, sub):
    own = f"{MOUNT.format(role='driver', kind='emptyDir', name='spark-local-dir-1')}={OLD}/{sub}"
    inside = f"spark.local.dir={OLD}/{'a/b' if 'a' in sub else 'tmp'}/x"
    settings = ["--conf", own, "--conf", inside, "--conf", f"spark.eventLog.dir={OLD}/logs", f"local://{OLD}/app.py"]
    code, words, stderr = submit(*settings)
    assert code == 0, stderr
    assert words == ["--conf", own, "--conf", inside, "--conf", f"spark.eventLog.dir={NEW}/logs", f"local://{NEW}/app.py"]
    assert submit(*settings, f"{OLD}/in.csv")[0] == 2


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        (f"SELECT * FROM parquet.`{OLD}/t`", f"SELECT * FROM parquet.`{NEW}/t`"),
        (f"delta.`{OLD}`", f"delta.`{NEW}`"),
        (f"-o{OLD}/x", f"-o{NEW}/x"),
        (f"sqlite:///{OLD}/x.db", None),
        (f"${{OUT:-{OLD}/x}}", None),
        ("/opt/spark/conf/../work-dir/x", None),
        ("--out=/opt/spark/./conf/./../work-dir", None),
        (f"{OLD}/../work-dir/x", None),
        ("../work-dir/x", None),
        ("/../opt/spark/work-dir/x", None),
        (f"{OLD}*/x", None),
        ('{"a": "\\/opt\\/spark\\/work-dir\\/x"}', None),
        ("x%2Fopt%2Fspark%2Fwork-dir", None),
        ("${SPARK_HOME}/work-dir/x", None),
        (f"see {OLD}.", None),
    ],
)
def test_paths_in_other_words_are_translated_or_refused(submit, argument, wanted):
    code, _words, stderr = submit("local:///app.py", argument)
    assert (code, f"names {OLD}" in stderr) == (2, True)
    code, words, stderr = submit("local:///app.py", argument, KF_SPARK_WORK_DIR="volume")
    if wanted:
        assert (code, words[-1]) == (0, wanted), stderr
    else:
        assert (code, "write the path out" in stderr) == (2, True)
    code, words, stderr = submit("local:///app.py", argument, KF_SPARK_WORK_DIR="keep")
    assert (code, words[-1], stderr) == (0, argument, "")


@pytest.mark.parametrize(
    "text",
    [json.dumps([{"a": i} for i in range(8000)] + [f"{OLD}/x"]), json.dumps([f"{OLD}/x"] * 1000), "a" * 100_000 + OLD],
    ids=["one", "many", "without-end"],
)
def test_a_long_argument_is_read_whole(submit, text):
    assert submit("local:///app.py", text)[0] == 2


def test_where_files_are_uploaded_is_of_the_submitting_side(submit):
    given = ["--conf", f"spark.kubernetes.file.upload.path=file://{OLD}/up", "local:///app.py"]
    code, _words, stderr = submit(*given)
    assert (code, "spark.kubernetes.file.upload.path: spark-submit itself writes to" in stderr) == (2, True)
    assert submit(*given, KF_SPARK_WORK_DIR="keep")[:2] == (0, given)
    code, _words, stderr = submit("--conf", f"spark.kubernetes.authenticate.driver.caCertFile={OLD}/ca", "local:///app.py")
    assert (code, "spark-submit itself reads" in stderr) == (2, True)


@pytest.mark.parametrize("given", [[f"--properties-file={OLD}/p"], ["--conf", f"spark.kubernetes.driver.podTemplateFile={OLD}/t"]])
def test_what_spark_submit_itself_reads_is_not_told_to_be_local(submit, given):
    code, _words, stderr = submit(*given, "local:///app.py", spark=True)
    assert (code, "local:" in stderr, "spark-submit itself reads" in stderr) == (2, False, True)


@pytest.mark.parametrize("scheme", ["", "file:", "file://", "file://localhost"])
def test_pod_templates_are_looked_into_wherever_they_are_named(submit, tmp_path, scheme):
    template = tmp_path / "driver.yaml"
    template.write_text(f"mountPath: {OLD}\n")
    key = "spark.kubernetes.driver.podTemplateFile"
    code, _words, stderr = submit("--conf", f"{key}={scheme}{template}", "local:///app.py")
    assert (code, f"kf-spark-submit: {template}, line 1 names" in stderr) == (2, True)
    settings = tmp_path / "app.conf"
    for between in (" ", "=", " : ", "=\\\n  "):
        settings.write_text(f"spark.a b\n{key}{between}{scheme}{template}\n")
        code, _words, stderr = submit("--properties-file", str(settings), "local:///app.py", spark=True)
        assert (code, f"kf-spark-submit: {template}, line 1 names" in stderr) == (2, True), between


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("sections", [{}, OWN, {"kubeflow": {"enabled": False}}])
def test_the_script_is_clean(tmp_path, sections):
    path = tmp_path / "kf-spark-submit"
    path.write_text(spark_submit.render(make_place(**sections)))
    done = subprocess.run(["shellcheck", "-x", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
