//! What people are told, in their language. Nothing here is part of the contract.

use kuota_domain::{
    ledger::Objection,
    refusal::{Refusal, Term},
    registration::RegistrationState,
    session::SessionStart,
    slot::Lane,
};

use super::language::Language;
use crate::engine::Failure;

/// One sentence for a refusal.
pub(super) fn refusal(refusal: &Refusal, language: Language) -> String {
    match language {
        Language::English => in_english(refusal),
        Language::Indonesian => in_indonesian(refusal),
    }
}

fn in_english(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SoldOut => "No place is left on this day.".into(),
        Refusal::NotEnoughPlaces { available, asked } => {
            format!("Only {available} of the {asked} places asked for are left on this day.")
        }
        Refusal::NotOpenYet { .. } => "Registration for this day has not opened yet.".into(),
        Refusal::Closed { .. } => "Registration for this day has closed.".into(),
        Refusal::Paused => "Registration is paused by the office.".into(),
        Refusal::AlreadyRegistered { applicant } => {
            format!("Applicant {} of the party already has a registration.", applicant + 1)
        }
        Refusal::Busy => "Many are asking for the last places; ask again shortly.".into(),
        Refusal::NotAServiceDay { holiday: Some(name) } => {
            format!("The office is closed on this day: {name}.")
        }
        Refusal::NotAServiceDay { holiday: None } => "The office does not serve on this weekday.".into(),
        Refusal::BeyondHorizon { horizon } => {
            format!("This day is not scheduled yet; the last scheduled day is {horizon}.")
        }
        Refusal::LaneNotOffered { offered } => format!("The office offers other lanes: {}.", lanes(offered)),
        Refusal::PastCutOff { .. } => {
            "It is too late to ask for today in this lane; another day may have places.".into()
        }
        Refusal::WrongAmount { due, paid } => format!("The fee is {due}; {paid} were paid."),
        Refusal::NoPaymentDue { .. } => "Nothing is to be paid for this registration.".into(),
        Refusal::HoldExpired { .. } => "It was not paid for in time and holds no place any more.".into(),
        Refusal::AlreadyRescheduled { .. } => {
            "It has been rescheduled before, and that goes only once.".into()
        }
        Refusal::TooLateToReschedule { .. } => {
            "It is too late: a place may be given up for another until the day before, and by the office until its \
             day is over.".into()
        }
        Refusal::NotReschedulable { .. } => "It has no place that could be given up for another.".into(),
        Refusal::TooEarlyToCheckIn { day, .. } => {
            format!("It is too early: people check in on the service day, {day}, from midnight on at the office.")
        }
        Refusal::ServiceDayOver { day, .. } => {
            format!("It is too late: the service day of this registration was {day}, and is over.")
        }
        Refusal::NotConfirmed { state } => match state {
            RegistrationState::Held => "It has not been paid for yet, so that its place is not confirmed.",
            RegistrationState::Expired => "It was not paid for in time and has no place any more.",
            RegistrationState::Cancelled => "It was cancelled and has no place any more.",
            RegistrationState::Confirmed
            | RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow => "This registration has no confirmed place.",
        }.into(),
        Refusal::NotCheckedIn { .. } => "Its people have not checked in; that comes first.".into(),
        Refusal::AlreadyCheckedIn { .. } => "Its people have checked in; there is no place to give back.".into(),
        Refusal::SameSlot => "It is on this day already, at this office and in this lane.".into(),
        Refusal::TermsDiffer { term } => match term {
            Term::Fee => "The other lane costs something else; cancel, and register there.".into(),
            Term::Ground => "Only one of the two lanes asks for a ground; cancel, and register there.".into(),
            Term::Payment => {
                "Places there are paid for before they are confirmed; cancel, and register there.".into()
            }
        },
        Refusal::SessionFull { asked, with_room, .. } if with_room.is_empty() => {
            format!("No session of this day that is still to come has room for a party of {asked}.")
        }
        Refusal::SessionFull { asked, with_room, .. } => {
            let room = sessions(with_room);
            format!("This session has no room for a party of {asked}; there is room at {room}.")
        }
        Refusal::NoSuchSession { offered } if offered.is_empty() => {
            "There are no sessions here: leave the session out.".into()
        }
        Refusal::NoSuchSession { offered } => {
            format!("There is no such session here; sessions begin at {}.", sessions(offered))
        }
        Refusal::SessionBegun { with_room, .. } if with_room.is_empty() => {
            "This session has begun, and no later one of this day has room.".into()
        }
        Refusal::SessionBegun { with_room, .. } => {
            format!("This session has begun; there is room at {}.", sessions(with_room))
        }
    }
}

fn in_indonesian(refusal: &Refusal) -> String {
    match refusal {
        Refusal::SoldOut => "Kuota untuk hari ini sudah habis.".into(),
        Refusal::NotEnoughPlaces { available, asked } => {
            format!("Hanya tersisa {available} dari {asked} tempat yang diminta untuk hari ini.")
        }
        Refusal::NotOpenYet { .. } => "Pendaftaran untuk hari ini belum dibuka.".into(),
        Refusal::Closed { .. } => "Pendaftaran untuk hari ini sudah ditutup.".into(),
        Refusal::Paused => "Pendaftaran sedang dihentikan sementara oleh kantor.".into(),
        Refusal::AlreadyRegistered { applicant } => {
            format!("Pemohon ke-{} sudah memiliki pendaftaran.", applicant + 1)
        }
        Refusal::Busy => {
            "Banyak yang sedang meminta tempat terakhir; silakan coba lagi sebentar lagi.".into()
        }
        Refusal::NotAServiceDay { holiday: Some(name) } => format!("Kantor tutup pada hari ini: {name}."),
        Refusal::NotAServiceDay { holiday: None } => "Kantor tidak melayani pada hari ini.".into(),
        Refusal::BeyondHorizon { horizon } => {
            format!("Hari ini belum dijadwalkan; hari terakhir yang dijadwalkan adalah {horizon}.")
        }
        Refusal::LaneNotOffered { offered } => {
            format!("Kantor menyediakan jalur lain: {}.", lanes(offered))
        }
        Refusal::PastCutOff { .. } => {
            "Batas waktu jalur ini untuk hari ini sudah lewat; silakan pilih hari lain.".into()
        }
        Refusal::WrongAmount { due, paid } => {
            format!("Biaya yang harus dibayar adalah {due}; yang dibayar {paid}.")
        }
        Refusal::NoPaymentDue { .. } => "Tidak ada yang harus dibayar untuk pendaftaran ini.".into(),
        Refusal::HoldExpired { .. } => "Tidak dibayar pada waktunya; tempatnya sudah dilepas.".into(),
        Refusal::AlreadyRescheduled { .. } => {
            "Jadwal sudah pernah diubah, dan hanya dapat diubah satu kali.".into()
        }
        Refusal::TooLateToReschedule { .. } => {
            "Sudah terlambat: jadwal hanya dapat diubah sampai sehari sebelumnya, atau oleh kantor sampai harinya \
             berakhir.".into()
        }
        Refusal::NotReschedulable { .. } => "Pendaftaran ini tidak memiliki tempat yang dapat diubah.".into(),
        Refusal::TooEarlyToCheckIn { day, .. } => {
            format!("Terlalu awal: kedatangan dilaporkan pada hari layanan, {day}, mulai pukul 00:00 di kantor.")
        }
        Refusal::ServiceDayOver { day, .. } => {
            format!("Sudah terlambat: hari layanan pendaftaran ini adalah {day} dan sudah berakhir.")
        }
        Refusal::NotConfirmed { state } => match state {
            RegistrationState::Held => "Pendaftaran ini belum dibayar, sehingga tempatnya belum dipastikan.",
            RegistrationState::Expired => "Tidak dibayar pada waktunya; tempatnya sudah dilepas.",
            RegistrationState::Cancelled => "Pendaftaran ini sudah dibatalkan; tempatnya sudah dilepas.",
            RegistrationState::Confirmed
            | RegistrationState::CheckedIn
            | RegistrationState::Served
            | RegistrationState::NoShow => "Pendaftaran ini tidak memiliki tempat yang sudah dipastikan.",
        }.into(),
        Refusal::NotCheckedIn { .. } => "Pemohon belum melapor kedatangan; itu harus dilakukan lebih dahulu.".into(),
        Refusal::AlreadyCheckedIn { .. } => {
            "Pemohon sudah melapor kedatangan; tempatnya tidak dapat dilepas lagi.".into()
        }
        Refusal::SameSlot => "Pendaftaran ini sudah berada pada hari, kantor, dan jalur tersebut.".into(),
        Refusal::TermsDiffer { term } => match term {
            Term::Fee => "Biaya jalur tersebut berbeda; batalkan, lalu daftar di sana.".into(),
            Term::Ground => "Hanya satu dari kedua jalur memerlukan alasan; batalkan, lalu daftar di sana.".into(),
            Term::Payment => {
                "Tempat di sana harus dibayar sebelum dipastikan; batalkan, lalu daftar di sana.".into()
            }
        },
        Refusal::SessionFull { asked, with_room, .. } if with_room.is_empty() => {
            format!("Tidak ada sesi berikutnya pada hari ini yang cukup untuk {asked} orang.")
        }
        Refusal::SessionFull { asked, with_room, .. } => {
            let room = sessions(with_room);
            format!("Sesi ini tidak cukup untuk {asked} orang; masih ada tempat pada {room}.")
        }
        Refusal::NoSuchSession { offered } if offered.is_empty() => {
            "Di sini tidak ada pembagian sesi; kosongkan pilihan sesi.".into()
        }
        Refusal::NoSuchSession { offered } => {
            format!("Sesi ini tidak ada; sesi dimulai pada {}.", sessions(offered))
        }
        Refusal::SessionBegun { with_room, .. } if with_room.is_empty() => {
            "Sesi ini sudah dimulai, dan sesi berikutnya pada hari ini sudah penuh.".into()
        }
        Refusal::SessionBegun { with_room, .. } => {
            format!("Sesi ini sudah dimulai; masih ada tempat pada {}.", sessions(with_room))
        }
    }
}

/// The names of sessions, as in the contract.
pub(super) fn sessions(sessions: &[SessionStart]) -> String {
    sessions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The names of lanes, as in the contract.
pub(super) fn lanes(lanes: &[Lane]) -> String {
    lanes.iter().map(|lane| lane.name()).collect::<Vec<_>>().join(", ")
}

/// One sentence for a failure a person may see, where the status itself speaks to developers.
pub(super) fn failure_in_indonesian(failure: &Failure) -> String {
    match failure {
        Failure::OfficeNotFound(office) => format!("Kantor `{office}` tidak ada."),
        Failure::RegistrationNotFound => "Pendaftaran tidak ditemukan.".into(),
        Failure::RequestReused => "request_id ini sudah dipakai untuk isi yang lain.".into(),
        Failure::PaymentReused => "payment_reference ini sudah dipakai untuk pembayaran lain.".into(),
        Failure::TooManyPayments => "Terlalu banyak pembayaran tanpa tempat untuk pendaftaran ini.".into(),
        Failure::PassportNeeded { applicant } => {
            format!("Jenis paspor pemohon ke-{} harus disebutkan.", applicant + 1)
        }
        Failure::Overloaded(_) => {
            "Terlalu banyak permintaan; belum ada yang diputuskan. Silakan coba lagi.".into()
        }
        Failure::LogFull => "Penyimpanan server penuh; belum ada yang ditulis. Silakan coba lagi.".into(),
        Failure::OutcomeUnknown => {
            "Hasilnya belum diketahui; tanyakan lagi dengan request_id yang sama.".into()
        }
        Failure::ClockDrift => "Jam server bergeser; belum ada yang diberikan. Silakan coba lagi.".into(),
        Failure::Stopping => "Server sedang berhenti; belum ada yang diputuskan. Silakan coba lagi.".into(),
        Failure::TooManyWatchers => "Terlalu banyak pemantau; silakan coba lagi.".into(),
        Failure::LogUnreadable => "Riwayat tidak dapat dibaca saat ini.".into(),
        Failure::Internal => "Terjadi kesalahan di dalam server.".into(),
        Failure::Refused(why, _) => in_indonesian(why),
        Failure::Objected(objection) => objection_in_indonesian(objection),
    }
}

fn objection_in_indonesian(objection: &Objection) -> String {
    match objection {
        Objection::RequestReused => "request_id ini sudah dipakai untuk isi yang lain.".into(),
        Objection::OfficeInUse { office, live } => {
            format!(
                "Kantor `{office}` tidak ada dalam katalog, tetapi masih memiliki {live} pendaftaran aktif."
            )
        }
        Objection::OfficeClosed(office) => format!("Kantor `{office}` sudah tidak ada dalam katalog."),
        Objection::NotScheduled(day) => format!("Tidak ada pembukaan untuk {day}."),
        Objection::PlacesNeeded(day) => {
            format!("Katalog tidak memiliki tempat untuk {day}; jumlahnya harus disebutkan.")
        }
        Objection::AlreadyOpen(day) => format!("{day} sudah dibuka."),
        Objection::BookingClosed(day) => format!("Pendaftaran untuk {day} sudah ditutup."),
        Objection::OpeningInThePast { .. } => "Waktu pembukaan harus di masa depan.".into(),
        Objection::TooManyPauses => "Terlalu banyak penghentian sementara.".into(),
        Objection::TooManyOverrides => "Terlalu banyak pengaturan di atas katalog.".into(),
        Objection::NoSuchCase(case) => format!("Kasus pembayaran {} tidak ada.", case.0),
        Objection::CaseResolved(case) => format!("Kasus pembayaran {} sudah selesai.", case.0),
        Objection::CaseNeedsRefund(case) => {
            format!("Kasus pembayaran {} hanya dapat diselesaikan dengan pengembalian uang.", case.0)
        }
        Objection::NoSuchRegistration => "Pendaftaran tidak ditemukan.".into(),
        Objection::Refused(refusal) => in_indonesian(refusal),
        Objection::Contradiction(_) => "Terjadi kesalahan di dalam server.".into(),
    }
}

/// What stands in the way of an operator, for developers.
pub(super) fn objection(objection: &Objection) -> String {
    match objection {
        Objection::RequestReused => "this request_id stands for other content".into(),
        Objection::OfficeInUse { office, live } => format!(
            "office `{office}` is missing from the catalogue but has {live} live registrations; with close_offices it \
             gives out no more and they stand"
        ),
        Objection::OfficeClosed(office) => format!("office `{office}` is no longer in the catalogue"),
        Objection::NotScheduled(day) => {
            format!("nothing opens {day}: its rule does not serve it; ScheduleOpening can open it")
        }
        Objection::PlacesNeeded(day) => {
            format!("the catalogue has no places for {day} in this lane, so that the opening must name them")
        }
        Objection::AlreadyOpen(day) => format!("{day} is open already, and an opening never changes"),
        Objection::BookingClosed(day) => format!("booking for {day} is over, or would be by then"),
        Objection::OpeningInThePast { .. } => "the opening must be in the future".into(),
        Objection::TooManyPauses => "there are as many pauses as there may be; resume some".into(),
        Objection::TooManyOverrides => {
            "as many slots have a quota or opening of their own as may; clear some, or change the catalogue"
                .into()
        }
        Objection::NoSuchCase(case) => format!("there is no payment case {}", case.0),
        Objection::CaseResolved(case) => format!("payment case {} is resolved already", case.0),
        Objection::CaseNeedsRefund(case) => format!(
            "the registration of payment case {} has a place, or left memory; only a refund ends it",
            case.0
        ),
        Objection::NoSuchRegistration => "there is no such registration".into(),
        Objection::Refused(refusal) => in_english(refusal),
        Objection::Contradiction(_) => "the change contradicts the log".into(),
    }
}
