story    provinces
title    It depends on where, and on which papers
shows    Cases over five provinces and all kinds of papers, in the funds of two communities that are matched apart; people who pay a part
shows    themselves; and at the end the report of access by province and papers, in which no group under five is shown.
starts   2023-02-06T00:00Z
fund     haneul-community currency=CNY share=CNY100 vouchers_required=1
fund     badaro-community currency=CNY share=CNY100 vouchers_required=0
expect   haneul-community asked=CNY3,010 promised=CNY3,000 placed=CNY3,000 settled=CNY3,000 delivered=CNY3,000 released=CNY0 waiting=CNY0 notices=149
expect   badaro-community asked=CNY14,680 promised=CNY11,700 placed=CNY11,700 settled=CNY11,700 delivered=CNY11,700 released=CNY0 waiting=CNY0 notices=342

when       | door  | fund             | event            | what
> Whether one was vaccinated depended on the province, and on papers: a residence bought after twenty years, an entry in a
> husband's register, or nothing at all. Two communities ask for theirs; each has its own fund, its own donors, its own order.
+0d 00:10  | http  | haneul-community | case.submitted   | case=prov-02 beneficiary=person-02 need=consultation route=clinic goal=CNY500 priority=routine access=CN-BJ/temporary-residence
+0d 02:21  | http  | haneul-community | case.submitted   | case=prov-36 beneficiary=person-36 need=test route=clinic goal=CNY220 own_contribution=CNY220 priority=urgent access=CN-LN/temporary-residence
+0d 02:33  | http  | haneul-community | case.vouched     | case=prov-02 voucher=elder-1
+0d 04:32  | http  | haneul-community | case.submitted   | case=prov-05 beneficiary=person-05 need=test route=go-between goal=CNY150 own_contribution=CNY70 priority=routine access=CN-BJ/temporary-residence
+0d 05:38  | http  | haneul-community | case.vouched     | case=prov-05 voucher=elder-3
+0d 06:43  | topic | badaro-community | case.submitted   | case=prov-43 beneficiary=person-43 need=consultation route=general-hospital goal=CNY750 priority=asap access=CN-JL/unregistered
+0d 08:54  | http  | badaro-community | case.submitted   | case=prov-45 beneficiary=person-45 need=vaccine route=general-hospital goal=CNY600 own_contribution=CNY550 priority=urgent access=CN-JL/unregistered
+0d 11:05  | http  | haneul-community | case.vouched     | case=prov-36 voucher=elder-2
+0d 11:05  | http  | haneul-community | case.submitted   | case=prov-16 beneficiary=person-16 need=vaccine route=go-between goal=CNY300 own_contribution=CNY250 priority=routine access=CN-TJ/temporary-residence
+0d 13:16  | http  | badaro-community | case.submitted   | case=prov-46 beneficiary=person-46 need=test route=go-between goal=CNY220 own_contribution=CNY220 priority=routine access=CN-JL/unregistered
+0d 15:04  | http  | haneul-community | case.vouched     | case=prov-16 voucher=elder-2
+0d 15:27  | topic | badaro-community | case.submitted   | case=prov-52 beneficiary=person-52 need=vaccine route=clinic goal=CNY600 own_contribution=CNY600 priority=urgent access=CN-JL/family-register
+0d 17:38  | http  | haneul-community | case.submitted   | case=prov-04 beneficiary=person-04 need=vaccine route=general-hospital goal=CNY400 own_contribution=CNY200 priority=urgent access=CN-BJ/temporary-residence
+0d 19:49  | http  | haneul-community | case.submitted   | case=prov-15 beneficiary=person-15 need=consultation route=clinic goal=CNY500 own_contribution=CNY500 priority=asap access=CN-TJ/temporary-residence
+0d 22:00  | http  | haneul-community | case.submitted   | case=prov-37 beneficiary=person-37 need=vaccine route=clinic goal=CNY600 own_contribution=CNY300 priority=urgent access=CN-LN/temporary-residence
+0d 22:53  | http  | haneul-community | case.vouched     | case=prov-04 voucher=elder-1
> Many would gladly pay themselves, and do, as far as they can: their claim is only what is missing.
+1d 00:11  | topic | badaro-community | case.submitted   | case=prov-21 beneficiary=person-21 need=vaccine route=clinic goal=CNY600 own_contribution=CNY300 priority=urgent access=CN-HL/unregistered
+1d 02:22  | http  | haneul-community | case.submitted   | case=prov-08 beneficiary=person-08 need=test route=go-between goal=CNY150 own_contribution=CNY70 priority=urgent access=CN-BJ/unknown
+1d 04:33  | http  | badaro-community | case.submitted   | case=prov-26 beneficiary=person-26 need=vaccine route=go-between goal=CNY600 own_contribution=CNY300 priority=urgent access=CN-HL/family-register
+1d 05:39  | http  | haneul-community | case.vouched     | case=prov-15 voucher=elder-2
+1d 06:44  | http  | haneul-community | case.submitted   | case=prov-03 beneficiary=person-03 need=vaccine route=general-hospital goal=CNY500 own_contribution=CNY250 priority=urgent access=CN-BJ/temporary-residence
+1d 07:53  | http  | haneul-community | case.vouched     | case=prov-37 voucher=elder-3
+1d 08:55  | topic | haneul-community | case.submitted   | case=prov-07 beneficiary=person-07 need=vaccine route=general-hospital goal=CNY300 own_contribution=CNY300 priority=asap access=CN-BJ/registered
+1d 09:26  | http  | haneul-community | case.vouched     | case=prov-03 voucher=elder-3
+1d 11:06  | http  | haneul-community | case.submitted   | case=prov-01 beneficiary=person-01 need=consultation route=general-hospital goal=CNY800 priority=urgent access=CN-BJ/temporary-residence
+1d 11:36  | http  | haneul-community | case.vouched     | case=prov-08 voucher=elder-1
+1d 13:17  | http  | haneul-community | case.submitted   | case=prov-09 beneficiary=person-09 need=vaccine route=go-between goal=CNY300 priority=routine access=CN-TJ/family-register
+1d 14:01  | http  | haneul-community | case.vouched     | case=prov-01 voucher=elder-1
+1d 15:28  | http  | badaro-community | case.submitted   | case=prov-49 beneficiary=person-49 need=consultation route=clinic goal=CNY1,200 own_contribution=CNY1,150 priority=asap access=CN-JL/family-register
+1d 17:39  | topic | badaro-community | case.submitted   | case=prov-39 beneficiary=person-39 need=vaccine route=go-between goal=CNY750 priority=routine access=CN-LN/unknown
+1d 18:36  | http  | haneul-community | case.vouched     | case=prov-07 voucher=elder-4
+1d 19:50  | http  | badaro-community | case.submitted   | case=prov-28 beneficiary=person-28 need=vaccine route=general-hospital goal=CNY450 own_contribution=CNY450 priority=routine access=CN-HL/family-register
+1d 20:18  | http  | haneul-community | case.vouched     | case=prov-09 voucher=elder-2
+1d 22:01  | http  | badaro-community | case.submitted   | case=prov-30 beneficiary=person-30 need=vaccine route=general-hospital goal=CNY600 own_contribution=CNY300 priority=routine access=CN-LN/unregistered
> Here the one community vouches for each case; the other trusts its go-betweens and opens cases as they come.
+2d 00:12  | http  | haneul-community | case.submitted   | case=prov-17 beneficiary=person-17 need=test route=general-hospital goal=CNY200 own_contribution=CNY150 priority=routine access=CN-TJ/registered
+2d 02:23  | topic | badaro-community | case.submitted   | case=prov-54 beneficiary=person-54 need=consultation route=general-hospital goal=CNY750 own_contribution=CNY700 priority=routine access=CN-JL/family-register
+2d 04:34  | http  | badaro-community | case.submitted   | case=prov-25 beneficiary=person-25 need=vaccine route=general-hospital goal=CNY750 priority=asap access=CN-HL/unregistered
+2d 06:45  | http  | badaro-community | case.submitted   | case=prov-20 beneficiary=person-20 need=vaccine route=clinic goal=CNY600 priority=asap access=CN-HL/unregistered
+2d 08:56  | http  | badaro-community | case.submitted   | case=prov-32 beneficiary=person-32 need=test route=general-hospital goal=CNY220 priority=asap access=CN-LN/unregistered
+2d 09:54  | http  | haneul-community | case.vouched     | case=prov-17 voucher=elder-3
+2d 11:07  | topic | haneul-community | case.submitted   | case=prov-14 beneficiary=person-14 need=vaccine route=go-between goal=CNY300 own_contribution=CNY300 priority=asap access=CN-TJ/temporary-residence
+2d 13:18  | http  | badaro-community | case.submitted   | case=prov-38 beneficiary=person-38 need=vaccine route=clinic goal=CNY750 priority=asap access=CN-LN/unknown
+2d 15:29  | http  | badaro-community | case.submitted   | case=prov-41 beneficiary=person-41 need=vaccine route=go-between goal=CNY450 priority=urgent access=CN-JL/unregistered
+2d 17:40  | http  | badaro-community | case.submitted   | case=prov-35 beneficiary=person-35 need=vaccine route=general-hospital goal=CNY600 priority=urgent access=CN-LN/unregistered
+2d 18:05  | http  | haneul-community | case.vouched     | case=prov-14 voucher=elder-4
+2d 19:51  | topic | haneul-community | case.submitted   | case=prov-06 beneficiary=person-06 need=vaccine route=general-hospital goal=CNY400 own_contribution=CNY350 priority=urgent access=CN-BJ/registered
+2d 20:41  | http  | haneul-community | case.vouched     | case=prov-06 voucher=elder-4
+2d 22:02  | http  | badaro-community | case.submitted   | case=prov-19 beneficiary=person-19 need=vaccine route=general-hospital goal=CNY600 own_contribution=CNY550 priority=urgent access=CN-HL/unregistered
+3d 00:13  | http  | badaro-community | case.submitted   | case=prov-31 beneficiary=person-31 need=vaccine route=general-hospital goal=CNY750 priority=asap access=CN-LN/unregistered
+3d 02:24  | http  | badaro-community | case.submitted   | case=prov-48 beneficiary=person-48 need=vaccine route=general-hospital goal=CNY450 own_contribution=CNY400 priority=routine access=CN-JL/unregistered
+3d 02:42  | topic | badaro-community | pledge.made      | pledge=prov-g25 donor=badaro-25 amount=CNY500
+3d 04:35  | topic | haneul-community | case.submitted   | case=prov-13 beneficiary=person-13 need=test route=clinic goal=CNY150 priority=routine access=CN-TJ/family-register
+3d 06:46  | http  | haneul-community | case.submitted   | case=prov-11 beneficiary=person-11 need=consultation route=general-hospital goal=CNY500 own_contribution=CNY500 priority=routine access=CN-TJ/family-register
+3d 07:56  | http  | haneul-community | case.vouched     | case=prov-11 voucher=elder-1
+3d 08:57  | http  | badaro-community | case.submitted   | case=prov-40 beneficiary=person-40 need=test route=general-hospital goal=CNY220 own_contribution=CNY170 priority=routine access=CN-JL/unregistered
+3d 11:08  | http  | haneul-community | case.submitted   | case=prov-10 beneficiary=person-10 need=vaccine route=general-hospital goal=CNY300 own_contribution=CNY150 priority=routine access=CN-TJ/family-register
+3d 12:39  | http  | haneul-community | case.vouched     | case=prov-13 voucher=elder-4
+3d 13:19  | topic | badaro-community | case.submitted   | case=prov-34 beneficiary=person-34 need=test route=clinic goal=CNY220 own_contribution=CNY220 priority=urgent access=CN-LN/unregistered
+3d 14:27  | http  | badaro-community | payment.received | pledge=prov-g25 payment=prov-p25 amount=CNY500
+3d 15:30  | http  | badaro-community | case.submitted   | case=prov-22 beneficiary=person-22 need=consultation route=clinic goal=CNY750 own_contribution=CNY370 priority=asap access=CN-HL/unregistered
+3d 17:41  | http  | badaro-community | case.submitted   | case=prov-24 beneficiary=person-24 need=consultation route=general-hospital goal=CNY1,200 priority=routine access=CN-HL/unregistered
+3d 19:52  | http  | badaro-community | case.submitted   | case=prov-29 beneficiary=person-29 need=consultation route=clinic goal=CNY750 priority=urgent access=CN-LN/unregistered
+3d 20:43  | http  | haneul-community | case.vouched     | case=prov-10 voucher=elder-3
+3d 22:03  | topic | haneul-community | case.submitted   | case=prov-12 beneficiary=person-12 need=vaccine route=general-hospital goal=CNY400 own_contribution=CNY350 priority=urgent access=CN-TJ/family-register
> Donors of either community give to their own fund. Money never crosses over.
+4d 00:14  | http  | badaro-community | case.submitted   | case=prov-47 beneficiary=person-47 need=vaccine route=go-between goal=CNY750 priority=asap access=CN-JL/unregistered
+4d 02:25  | http  | badaro-community | case.submitted   | case=prov-27 beneficiary=person-27 need=vaccine route=clinic goal=CNY600 priority=routine access=CN-HL/family-register
+4d 04:36  | http  | badaro-community | case.submitted   | case=prov-50 beneficiary=person-50 need=consultation route=general-hospital goal=CNY750 priority=routine access=CN-JL/family-register
+4d 06:47  | topic | badaro-community | case.submitted   | case=prov-55 beneficiary=person-55 need=vaccine route=go-between goal=CNY750 own_contribution=CNY700 priority=urgent access=CN-JL/registered
+4d 06:57  | http  | haneul-community | case.vouched     | case=prov-12 voucher=elder-4
+4d 08:58  | http  | badaro-community | case.submitted   | case=prov-18 beneficiary=person-18 need=vaccine route=go-between goal=CNY450 own_contribution=CNY220 priority=urgent access=CN-HL/unregistered
+4d 11:09  | http  | badaro-community | case.submitted   | case=prov-51 beneficiary=person-51 need=vaccine route=go-between goal=CNY750 priority=urgent access=CN-JL/family-register
+4d 13:20  | http  | badaro-community | case.submitted   | case=prov-23 beneficiary=person-23 need=test route=general-hospital goal=CNY300 priority=routine access=CN-HL/unregistered
+4d 15:31  | topic | badaro-community | case.submitted   | case=prov-44 beneficiary=person-44 need=test route=general-hospital goal=CNY300 priority=urgent access=CN-JL/unregistered
+4d 17:42  | http  | badaro-community | case.submitted   | case=prov-42 beneficiary=person-42 need=vaccine route=clinic goal=CNY450 priority=routine access=CN-JL/unregistered
+4d 19:53  | http  | badaro-community | case.submitted   | case=prov-33 beneficiary=person-33 need=vaccine route=general-hospital goal=CNY750 priority=routine access=CN-LN/unregistered
+4d 22:04  | http  | badaro-community | case.submitted   | case=prov-53 beneficiary=person-53 need=vaccine route=go-between goal=CNY600 priority=asap access=CN-JL/family-register
+5d 05:55  | topic | badaro-community | pledge.made      | pledge=prov-g15 donor=badaro-15 amount=CNY500
+5d 20:32  | http  | badaro-community | payment.received | pledge=prov-g15 payment=prov-p15 amount=CNY500
+6d 08:24  | http  | haneul-community | pledge.made      | pledge=prov-g02 donor=haneul-02 amount=CNY800
+6d 12:43  | http  | haneul-community | payment.received | pledge=prov-g02 payment=prov-p02 amount=CNY800
+6d 23:43  | http  | badaro-community | pledge.made      | pledge=prov-g26 donor=badaro-26 amount=CNY200
+8d 21:00  | http  | badaro-community | payment.received | pledge=prov-g26 payment=prov-p26 amount=CNY200
+8d 21:50  | http  | badaro-community | pledge.made      | pledge=prov-g11 donor=badaro-11 amount=CNY200
+9d 12:37  | http  | badaro-community | pledge.made      | pledge=prov-g17 donor=badaro-17 amount=CNY500
+11d 04:40 | http  | badaro-community | payment.received | pledge=prov-g17 payment=prov-p17 amount=CNY500
+11d 05:19 | http  | badaro-community | pledge.made      | pledge=prov-g24 donor=badaro-24 amount=CNY200 designation=need:vaccine
+11d 10:15 | http  | badaro-community | payment.received | pledge=prov-g11 payment=prov-p11 amount=CNY200
+11d 16:24 | http  | badaro-community | pledge.made      | pledge=prov-g18 donor=badaro-18 amount=CNY300 designation=need:vaccine
+12d 19:48 | http  | badaro-community | pledge.made      | pledge=prov-g07 donor=badaro-07 amount=CNY500
+12d 23:10 | http  | badaro-community | pledge.made      | pledge=prov-g06 donor=badaro-06 amount=CNY1,000 designation=need:vaccine
+13d 08:31 | http  | badaro-community | payment.received | pledge=prov-g24 payment=prov-p24 amount=CNY200
+13d 11:43 | http  | badaro-community | payment.received | pledge=prov-g18 payment=prov-p18 amount=CNY300
+14d 01:53 | http  | badaro-community | payment.received | pledge=prov-g07 payment=prov-p07 amount=CNY500
+15d 05:54 | http  | badaro-community | pledge.made      | pledge=prov-g13 donor=badaro-13 amount=CNY500
+15d 12:53 | http  | haneul-community | pledge.made      | pledge=prov-g04 donor=haneul-04 amount=CNY500
+15d 13:07 | http  | badaro-community | payment.received | pledge=prov-g06 payment=prov-p06 amount=CNY1,000
+16d 04:46 | http  | badaro-community | payment.received | pledge=prov-g13 payment=prov-p13 amount=CNY500
+17d 02:24 | http  | badaro-community | pledge.made      | pledge=prov-g22 donor=badaro-22 amount=CNY200
+17d 07:28 | http  | badaro-community | payment.received | pledge=prov-g22 payment=prov-p22 amount=CNY200
+17d 07:30 | http  | haneul-community | payment.received | pledge=prov-g04 payment=prov-p04 amount=CNY500
+17d 19:21 | http  | badaro-community | pledge.made      | pledge=prov-g12 donor=badaro-12 amount=CNY200 designation=need:vaccine
+17d 19:41 | http  | badaro-community | pledge.made      | pledge=prov-g16 donor=badaro-16 amount=CNY500
+18d 02:45 | topic | haneul-community | pledge.made      | pledge=prov-g05 donor=haneul-05 amount=CNY1,000
+18d 10:38 | http  | badaro-community | pledge.made      | pledge=prov-g23 donor=badaro-23 amount=CNY500
+18d 16:06 | topic | badaro-community | pledge.made      | pledge=prov-g20 donor=badaro-20 amount=CNY200
+19d 11:08 | http  | badaro-community | payment.received | pledge=prov-g20 payment=prov-p20 amount=CNY200
+19d 12:30 | http  | badaro-community | payment.received | pledge=prov-g16 payment=prov-p16 amount=CNY500
+19d 17:06 | http  | haneul-community | pledge.made      | pledge=prov-g03 donor=haneul-03 amount=CNY500
+19d 18:22 | http  | badaro-community | pledge.made      | pledge=prov-g14 donor=badaro-14 amount=CNY1,000
+19d 19:16 | http  | badaro-community | payment.received | pledge=prov-g23 payment=prov-p23 amount=CNY500
+20d 01:14 | http  | haneul-community | payment.received | pledge=prov-g05 payment=prov-p05 amount=CNY1,000
+20d 03:51 | http  | badaro-community | payment.received | pledge=prov-g12 payment=prov-p12 amount=CNY200
+20d 11:21 | http  | badaro-community | pledge.made      | pledge=prov-g19 donor=badaro-19 amount=CNY800
+20d 15:36 | http  | badaro-community | pledge.made      | pledge=prov-g21 donor=badaro-21 amount=CNY500
+20d 17:59 | http  | badaro-community | payment.received | pledge=prov-g19 payment=prov-p19 amount=CNY800
+20d 18:12 | http  | badaro-community | pledge.made      | pledge=prov-g27 donor=badaro-27 amount=CNY1,000
+20d 21:18 | topic | badaro-community | pledge.made      | pledge=prov-g10 donor=badaro-10 amount=CNY500
+21d 00:44 | http  | badaro-community | payment.received | pledge=prov-g21 payment=prov-p21 amount=CNY500
+21d 05:07 | http  | badaro-community | payment.received | pledge=prov-g27 payment=prov-p27 amount=CNY1,000
+21d 05:57 | http  | badaro-community | payment.received | pledge=prov-g14 payment=prov-p14 amount=CNY1,000
+21d 09:15 | http  | badaro-community | pledge.made      | pledge=prov-g08 donor=badaro-08 amount=CNY1,000
+22d 03:33 | http  | haneul-community | payment.received | pledge=prov-g03 payment=prov-p03 amount=CNY500
+22d 04:56 | http  | haneul-community | pledge.made      | pledge=prov-g01 donor=haneul-01 amount=CNY200
+22d 08:42 | http  | badaro-community | pledge.made      | pledge=prov-g28 donor=badaro-28 amount=CNY600
+22d 10:55 | http  | badaro-community | pledge.made      | pledge=prov-g09 donor=badaro-09 amount=CNY300
+22d 21:13 | http  | badaro-community | payment.received | pledge=prov-g28 payment=prov-p28 amount=CNY600
+23d 04:23 | http  | badaro-community | payment.received | pledge=prov-g10 payment=prov-p10 amount=CNY500
+23d 10:29 | http  | badaro-community | payment.received | pledge=prov-g09 payment=prov-p09 amount=CNY300
+23d 13:42 | http  | badaro-community | payment.received | pledge=prov-g08 payment=prov-p08 amount=CNY1,000
+24d 07:11 | http  | haneul-community | payment.received | pledge=prov-g01 payment=prov-p01 amount=CNY200
> Four weeks on: what was paid is handed over. A part of one community's claims is still open, and the ledger says which.
+29d 00:03 | http  | haneul-community | case.delivered   | case=prov-02 delivery=prov-02-d amount=CNY500
+29d 00:06 | http  | haneul-community | case.delivered   | case=prov-05 delivery=prov-05-d amount=CNY80
+29d 00:09 | http  | haneul-community | case.delivered   | case=prov-16 delivery=prov-16-d amount=CNY50
+29d 00:12 | http  | haneul-community | case.delivered   | case=prov-04 delivery=prov-04-d amount=CNY200
+29d 00:15 | topic | haneul-community | case.delivered   | case=prov-37 delivery=prov-37-d amount=CNY300
+29d 00:18 | http  | haneul-community | case.delivered   | case=prov-08 delivery=prov-08-d amount=CNY80
+29d 00:21 | http  | haneul-community | case.delivered   | case=prov-03 delivery=prov-03-d amount=CNY250
+29d 00:24 | http  | haneul-community | case.delivered   | case=prov-01 delivery=prov-01-d amount=CNY790
+29d 00:27 | http  | haneul-community | case.delivered   | case=prov-09 delivery=prov-09-d amount=CNY300
+29d 00:30 | http  | haneul-community | case.delivered   | case=prov-17 delivery=prov-17-d amount=CNY50
+29d 00:33 | http  | haneul-community | case.delivered   | case=prov-06 delivery=prov-06-d amount=CNY50
+29d 00:36 | http  | haneul-community | case.delivered   | case=prov-13 delivery=prov-13-d amount=CNY150
+29d 00:39 | http  | haneul-community | case.delivered   | case=prov-10 delivery=prov-10-d amount=CNY150
+29d 00:42 | http  | haneul-community | case.delivered   | case=prov-12 delivery=prov-12-d amount=CNY50
+29d 00:45 | topic | badaro-community | case.delivered   | case=prov-43 delivery=prov-43-d amount=CNY600
+29d 00:48 | http  | badaro-community | case.delivered   | case=prov-45 delivery=prov-45-d amount=CNY50
+29d 00:51 | http  | badaro-community | case.delivered   | case=prov-21 delivery=prov-21-d amount=CNY300
+29d 00:54 | http  | badaro-community | case.delivered   | case=prov-26 delivery=prov-26-d amount=CNY300
+29d 00:57 | http  | badaro-community | case.delivered   | case=prov-49 delivery=prov-49-d amount=CNY50
+29d 01:00 | http  | badaro-community | case.delivered   | case=prov-39 delivery=prov-39-d amount=CNY600
+29d 01:03 | http  | badaro-community | case.delivered   | case=prov-30 delivery=prov-30-d amount=CNY300
+29d 01:06 | http  | badaro-community | case.delivered   | case=prov-54 delivery=prov-54-d amount=CNY50
+29d 01:09 | http  | badaro-community | case.delivered   | case=prov-25 delivery=prov-25-d amount=CNY600
+29d 01:12 | http  | badaro-community | case.delivered   | case=prov-20 delivery=prov-20-d amount=CNY600
+29d 01:15 | topic | badaro-community | case.delivered   | case=prov-32 delivery=prov-32-d amount=CNY220
+29d 01:18 | http  | badaro-community | case.delivered   | case=prov-38 delivery=prov-38-d amount=CNY600
+29d 01:21 | http  | badaro-community | case.delivered   | case=prov-41 delivery=prov-41-d amount=CNY450
+29d 01:24 | http  | badaro-community | case.delivered   | case=prov-35 delivery=prov-35-d amount=CNY600
+29d 01:27 | http  | badaro-community | case.delivered   | case=prov-19 delivery=prov-19-d amount=CNY50
+29d 01:30 | http  | badaro-community | case.delivered   | case=prov-31 delivery=prov-31-d amount=CNY520
+29d 01:33 | http  | badaro-community | case.delivered   | case=prov-48 delivery=prov-48-d amount=CNY50
+29d 01:36 | http  | badaro-community | case.delivered   | case=prov-40 delivery=prov-40-d amount=CNY50
+29d 01:39 | http  | badaro-community | case.delivered   | case=prov-22 delivery=prov-22-d amount=CNY380
+29d 01:42 | http  | badaro-community | case.delivered   | case=prov-24 delivery=prov-24-d amount=CNY500
+29d 01:45 | topic | badaro-community | case.delivered   | case=prov-29 delivery=prov-29-d amount=CNY500
+29d 01:48 | http  | badaro-community | case.delivered   | case=prov-47 delivery=prov-47-d amount=CNY500
+29d 01:51 | http  | badaro-community | case.delivered   | case=prov-27 delivery=prov-27-d amount=CNY500
+29d 01:54 | http  | badaro-community | case.delivered   | case=prov-50 delivery=prov-50-d amount=CNY500
+29d 01:57 | http  | badaro-community | case.delivered   | case=prov-55 delivery=prov-55-d amount=CNY50
+29d 02:00 | http  | badaro-community | case.delivered   | case=prov-18 delivery=prov-18-d amount=CNY230
+29d 02:03 | http  | badaro-community | case.delivered   | case=prov-51 delivery=prov-51-d amount=CNY500
+29d 02:06 | http  | badaro-community | case.delivered   | case=prov-23 delivery=prov-23-d amount=CNY300
+29d 02:09 | http  | badaro-community | case.delivered   | case=prov-44 delivery=prov-44-d amount=CNY300
+29d 02:12 | http  | badaro-community | case.delivered   | case=prov-42 delivery=prov-42-d amount=CNY450
+29d 02:15 | topic | badaro-community | case.delivered   | case=prov-33 delivery=prov-33-d amount=CNY500
+29d 02:18 | http  | badaro-community | case.delivered   | case=prov-53 delivery=prov-53-d amount=CNY500
