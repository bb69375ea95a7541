#!/usr/bin/env bash
# Is the text that people read here plain American English? hack/words.txt lists forms to avoid, with what to write instead.
# They are searched for in comments (which include the CRDs' descriptions), in pages and in strings of Go code that have several
# words, which are messages, but not in code spans, quotations or generated files. A line that needs such a form for another
# reason contains "words: ok".
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
source hack/checks.sh

command -v perl >/dev/null || missing "perl"

# shellcheck disable=SC2016 # the dollars are for perl
files '*.go' '*.sh' '*.yaml' '*.md' '*.gotmpl' .ci/run Makefile Dockerfile |
	{ grep -zvE '(^|/)zz_generated|(^|/)(testdata|node_modules)/|^docs/api\.md$|^config/crd/|^charts/sftp-operator/files/|^hack/mutate/accepted\.yaml$' || true; } |
	xargs -0 -r perl -e '
		use strict;
		use warnings;
		open my $list, "<", "hack/words.txt" or die "hack/words.txt: $!";
		my (@words, $found);
		while (<$list>) {
			chomp;
			next if /^(#|$)/;
			my ($form, $better) = split / = /, $_, 2;
			push @words, [qr/$form/i, $better];
		}
		my $any = join "|", map { $_->[0] } @words;
		$any = qr/$any/;
		for my $file (@ARGV) {
			open my $in, "<", $file or die "$file: $!";
			my $fenced = 0;
			while (my $text = <$in>) {
				if ($file =~ /\.(md|gotmpl)$/) {
					$fenced = !$fenced if $text =~ /^\s*```/;
					next if $fenced;
				} elsif ($file !~ /\.go$/) {
					next unless $text =~ s{^(?:.*\s)??#}{};
				}
				next unless $text =~ $any;
				next if $text =~ /words: ok/;
				my $messages = "";
				if ($file =~ /\.go$/) {
					$messages = join "\n", grep { /\s/ } $text =~ /"((?:[^"\\]|\\.)*)"/g;
					$text = "" unless $text =~ s{^(?:.*?[^:"])??//(?!go:)}{};
				}
				$text =~ s/`[^`]*`|"[^"]*"//g;
				$text .= $messages;
				for my $w (@words) {
					next unless $text =~ /($w->[0])/;
					print "$file:$.: $1: write $w->[1]\n";
					$found++;
				}
			}
		}
		exit($found ? 1 : 0);
	' || {
	echo "hack/words.txt has the list" >&2
	exit 1
}
