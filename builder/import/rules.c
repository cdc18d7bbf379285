#include "import/rules.h"

static const struct rule_text texts[RULES_N] = {
    [RULE_ADDON] = {"addon", IMPORT_WARNING,
		    "Do by a profile, an overlay or a step what the add-on did; its text is "
		    "kept beside the recipe."},
    [RULE_AUTHORIZED_KEYS] = {"authorized-keys", IMPORT_WARNING,
			      "Keys belong into the site file: stage puts them in place."},
    [RULE_BAD_VALUE] = {"bad-value", IMPORT_ERROR, "Write it into the recipe by hand."},
    [RULE_BASE_REPLACED] = {"base-replaced", IMPORT_INFO,
			    "What the recipe extends says where packages come from."},
    [RULE_BUILD_DATE] = {"build-date", IMPORT_WARNING,
			 "Take the time out: a build gives the same bytes on every day."},
    [RULE_COMMAND_AFTER_SECTION] = {"command-after-section", IMPORT_WARNING,
				    "Some installers refuse it: move it above the sections."},
    [RULE_CONFLICT] = {"conflict", IMPORT_ERROR, "Keep one of the two."},
    [RULE_CONTINUED_COMMENT] =
	{"continued-comment", IMPORT_ERROR,
	 "Comment out the next lines too, or remove the backslash: they are run."},
    [RULE_COPY_FROM] = {"copy-from", IMPORT_ERROR,
			"Build that stage on its own, and declare what it makes as a medium or "
			"overlay."},
    [RULE_COPY_ORDER] = {"copy-order", IMPORT_WARNING,
			 "Overlays are laid after the steps: mount a medium in the step that "
			 "needs the file."},
    [RULE_DISK] = {"disk", IMPORT_INFO,
		   "Nothing to do: an image has no disks, partitions or boot loader."},
    [RULE_DOCKERIGNORE] = {"dockerignore", IMPORT_WARNING,
			   "Look for files below overlay directories that it would have left out."},
    [RULE_DUPLICATE] = {"duplicate", IMPORT_INFO, "Nothing to do: it counts once."},
    [RULE_ENABLE_IN_SCRIPT] = {"enable-in-script", IMPORT_INFO,
			       "Remove the line from the script: it is under services now."},
    [RULE_FETCH] = {"fetch", IMPORT_ERROR,
		    "Fetch it once, check it, and write its sha256 under media; the step "
		    "then copies it from /media."},
    [RULE_FIREWALL_OFF] =
	{"firewall-off", IMPORT_ERROR,
	 "List under ports what has to be reached; everything else stays closed."},
    [RULE_FROM_SCRATCH] =
	{"from-scratch", IMPORT_WARNING,
	 "Name a base that says what it is made of, with --base or in the recipe."},
    [RULE_GONE_PACKAGE] = {"gone-package", IMPORT_WARNING,
			   "Find what does its work now, and write that."},
    [RULE_HEALTHCHECK] = {"healthcheck", IMPORT_WARNING,
			  "Write it under tests, or leave it to what supervises the container."},
    [RULE_HEREDOC_EXPANDS] =
	{"heredoc-expands", IMPORT_WARNING,
	 "Quote the marker, as in <<'EOF', unless build-time values are meant."},
    [RULE_HEREDOC_NESTED] = {"heredoc-nested", IMPORT_ERROR,
			     "Give the inner one another marker: the first marker ends both."},
    [RULE_HEREDOC_OPEN] = {"heredoc-open", IMPORT_ERROR,
			   "Write the marker alone on a line of its own."},
    [RULE_HOST_KEY_OFF] = {"host-key-off", IMPORT_ERROR,
			   "Put the host's key into known_hosts instead."},
    [RULE_HTTP_REPOSITORY] = {"http-repository", IMPORT_WARNING,
			      "Use https where there is it; signatures are checked in any case."},
    [RULE_IGNORED_STATUS] = {"ignored-status", IMPORT_WARNING,
			     "Let it fail, or test for what may be missing."},
    [RULE_IMPLICIT] = {"implicit", IMPORT_INFO, "Check that it is meant."},
    [RULE_INSTALL_IN_SCRIPT] =
	{"install-in-script", IMPORT_WARNING,
	 "Remove the line from the script: the packages are in the recipe now, "
	 "and a step has no network."},
    [RULE_INSTALLER] = {"installer", IMPORT_INFO,
			"Nothing to do: it was about the installer, not about the system."},
    [RULE_KEPT_SCRIPT] = {"kept-script", IMPORT_WARNING,
			  "It is kept beside the recipe and not run; move into a step what an "
			  "image needs of it."},
    [RULE_LABEL] = {"label", IMPORT_INFO,
		    "Nothing to do: labels of an image come from recipe and lock."},
    [RULE_LEGACY_FORM] = {"legacy-form", IMPORT_WARNING,
			  "Write NAME=VALUE without blanks round the sign."},
    [RULE_LIFTED] = {"lifted", IMPORT_INFO, "Nothing to do: it is data of the recipe now."},
    [RULE_LINE_ENDS] = {"line-ends", IMPORT_INFO,
			"Nothing to do: lines end in LF now, as an installer reads them."},
    [RULE_MISSING_END] = {"missing-end", IMPORT_WARNING, "Close the section with %end."},
    [RULE_MISSING_SOURCE] = {"missing-source", IMPORT_ERROR,
			     "Put it where the file names it, or use --context."},
    [RULE_NO_ERRORONFAIL] = {"no-erroronfail", IMPORT_WARNING,
			     "A step fails when its script does: add set -e, and see what it was "
			     "hiding."},
    [RULE_NO_REPOSITORY] = {"no-repository", IMPORT_ERROR,
			    "Write the repositories under base.dnf, or use --base."},
    [RULE_NO_SUCH_PACKAGE] = {"no-such-package", IMPORT_WARNING,
			      "Correct the name, or add the repository that has it."},
    [RULE_NOT_A_PACKAGE] = {"not-a-package", IMPORT_ERROR,
			    "Write the name of a package that the base's repositories have."},
    [RULE_NOT_LIFTED] = {"not-lifted", IMPORT_WARNING,
			 "List the packages under packages, and take them out of the script."},
    [RULE_NOT_NEEDED] = {"not-needed", IMPORT_INFO,
			 "Nothing to do: a build does it by itself, or has nothing to do it to."},
    [RULE_NOT_UNDERSTOOD] = {"not-understood", IMPORT_ERROR,
			     "Write what it does into the recipe by hand."},
    [RULE_ONBUILD] = {"onbuild", IMPORT_WARNING, "Write it into the recipes that extend this one."},
    [RULE_OPTION] = {"option", IMPORT_INFO, "Check that nothing depends on it."},
    [RULE_PASSWORD] = {"password", IMPORT_WARNING,
		       "Accounts of an image are locked; stage gives each site its own secrets. "
		       "Change this one."},
    [RULE_PIPE_TO_SHELL] = {"pipe-to-shell", IMPORT_ERROR,
			    "Declare it as a medium with its sha256, and run that."},
    [RULE_PLAIN_PASSWORD] = {"plain-password", IMPORT_ERROR,
			     "Everyone with the file knows it: change it wherever it is in use."},
    [RULE_PRIVATE_KEY] = {"private-key", IMPORT_ERROR,
			  "Take it out, and replace the key wherever it is in use."},
    [RULE_PROFILE] = {"profile", IMPORT_INFO,
		      "Read what the profile controls, and add waivers where it asks too much."},
    [RULE_PULL_BASE] = {"pull-base", IMPORT_WARNING,
			"Write docker://HOST/REPOSITORY:TAG, or pull it into the layout that the "
			"recipe names: posmedia pull docker://IMAGE oci:DIR:TAG."},
    [RULE_QUOTED_LIST] = {"quoted-list", IMPORT_ERROR,
			  "Take the quotes away: the loop runs once, with all words as one."},
    [RULE_REMOVE_EXCLUDED] = {"remove-excluded", IMPORT_WARNING,
			      "Remove the line: the package is not there, so it fails."},
    [RULE_RENAMED_PACKAGE] = {"renamed-package", IMPORT_INFO,
			      "Check that the new name is what is meant."},
    [RULE_REPOSITORY_KEY] = {"repository-key", IMPORT_ERROR,
			     "Put the key that signs the repository where gpgkey says."},
    [RULE_RHOSTS] = {"rhosts", IMPORT_ERROR, "Remove it: it lets every host and every user in."},
    [RULE_RUN_USER] = {"run-user", IMPORT_WARNING,
		       "Steps run as root: give the step what it needs, or use setpriv in it."},
    [RULE_RUNNING_SYSTEM] = {"running-system", IMPORT_WARNING,
			     "Nothing runs in a build: do it by a unit at the start of the image."},
    [RULE_SCRIPT_SYNTAX] = {"script-syntax", IMPORT_ERROR, "Mend the script: a shell stops there."},
    [RULE_SELINUX_OFF] = {"selinux-off", IMPORT_ERROR,
			  "Leave it enforcing on the host; the image does not decide it."},
    [RULE_SIGNATURE_OFF] = {"signature-off", IMPORT_ERROR,
			    "Sign the repository, and name its key under base."},
    [RULE_SITE] = {"site", IMPORT_INFO,
		   "Write it into the site file: it differs from place to place."},
    [RULE_STAGE] = {"stage", IMPORT_WARNING,
		    "Only the last stage becomes the recipe; build the others on their own."},
    [RULE_STEP_WRITES] = {"step-writes", IMPORT_INFO,
			  "Make the list of writes as short as the script allows."},
    [RULE_STRAY_WORD] = {"stray-word", IMPORT_WARNING, "Quote a value that has blanks."},
    [RULE_SUDO_NOPASSWD] = {"sudo-nopasswd", IMPORT_WARNING,
			    "Let sudo ask, or allow exactly the commands that are needed."},
    [RULE_TLS_OFF] = {"tls-off", IMPORT_ERROR, "Let certificates be checked."},
    [RULE_TRUSTED_INTERFACE] = {"trusted-interface", IMPORT_ERROR,
				"List under ports what has to be reached: trust opens everything."},
    [RULE_TYPOGRAPHIC_QUOTES] =
	{"typographic-quotes", IMPORT_ERROR,
	 "Nothing to do in the recipe; in the old file these quotes make it a "
	 "shell command."},
    [RULE_UNCLOSED_QUOTE] = {"unclosed-quote", IMPORT_ERROR, "Close the quote."},
    [RULE_UNKNOWN_COMMAND] = {"unknown-command", IMPORT_ERROR,
			      "Correct the word, or write into the recipe what it did."},
    [RULE_UNPINNED_BASE] = {"unpinned-base", IMPORT_WARNING,
			    "A tag may be another image tomorrow: the lock has the digest of "
			    "today's, and lock --update takes a newer one."},
    [RULE_UNPINNED_UPDATE] = {"unpinned-update", IMPORT_ERROR,
			      "Remove it: the lock has the versions, and lock --update takes newer "
			      "ones."},
    [RULE_UNRESOLVED_INCLUDE] =
	{"unresolved-include", IMPORT_ERROR,
	 "Write what the file has into the kickstart, or put it where it is "
	 "named."},
    [RULE_UNSET_ARGUMENT] = {"unset-argument", IMPORT_ERROR, "Give it with --arg NAME=VALUE."},
    [RULE_UNSUPPORTED] = {"unsupported", IMPORT_ERROR, "Write into the recipe what it did."},
    [RULE_USER_ID] = {"user-id", IMPORT_INFO, "Write the number that the customers' data has."},
    [RULE_VOLUME_BEFORE_DATA] =
	{"volume-before-data", IMPORT_ERROR,
	 "Nothing to do in the recipe; in the old image what is written there "
	 "later is lost."},
    [RULE_WEAK_HASH] = {"weak-hash", IMPORT_ERROR,
			"It is broken in minutes: change the password wherever it is in use."},
    [RULE_WORLD_WRITABLE] = {"world-writable", IMPORT_ERROR,
			     "Give write permission to a group instead of to everyone."},
};

const struct rule_text *rule_text(enum rule r)
{
	return &texts[r];
}

const char *import_rule_id(size_t i)
{
	return i < RULES_N ? texts[i].id : NULL;
}
